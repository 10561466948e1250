import { timestampDate } from "@bufbuild/protobuf/wkt";
import { useWindow, useNow } from "../parts/hooks.js";
import { ago, duration } from "../format.js";
import { ms } from "../shape.js";
import { Cards } from "./cards.js";
import { Classes } from "./classes.js";
import { Funnel } from "./funnel.js";
import { Lag } from "./lag.js";
import { Landings } from "./landings.js";

export function Home() {
  const { overview } = useWindow();
  return (
    <>
      <h1 tabIndex={-1}>Overview</h1>
      <Counted />
      <Cards overview={overview} />
      <Funnel overview={overview} />
      <div class="pair">
        <Landings overview={overview} />
        <Lag overview={overview} />
      </div>
      <Classes overview={overview} />
    </>
  );
}

/** Counted says how old the numbers are. */
function Counted() {
  const { overview } = useWindow();
  const now = useNow();
  if (!overview.countedAt) return <p class="means">Nothing has been counted yet.</p>;
  const took = overview.countingTook ? ms(overview.countingTook) : 0;
  return <p class="means" data-testid="counted">Counted {ago(timestampDate(overview.countedAt), now)}{took >= 1000 && <>, which took {duration(took)}</>}.</p>;
}
