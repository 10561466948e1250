import { useState } from "preact/hooks";
import { MediaState, type Overview } from "@coatcheck/client/proto";
import { bytes, count } from "../format.js";
import { ages, classes, states, total, type Amount } from "../shape.js";
import { ageName, reasonMeans, reasonName, stateMeans, stateName } from "../words.js";
import { BarChart, type Bars } from "../parts/chart.js";
import { Choice, numbers, Section, Table } from "../parts/parts.js";

const measures = { media: "Objects", bytes: "Bytes" };
type Measure = keyof typeof measures;

/** Classes are objects and bytes by what they are and how old. */
export function Classes({ overview }: { overview: Overview }) {
  const [measure, setMeasure] = useState<Measure>("media");
  const all = classes(overview.media);
  return (
    <Section id="classes" title="Classes by age" tools={<Choice label="Measure" value={measure} of={measures} set={(v) => setMeasure(v)} />}
      means="All media by state and by the time since they were created. Bytes are those that were declared; only confirmed, uploaded and deleting media have any in the bucket.">
      <BarChart bars={bars(overview, measure)} height={220} label={`Bars by state, of ${measures[measure].toLowerCase()} by age. The table below has the numbers.`} />
      <Table caption="Classes by age" heads={["Class", ...numbers("All", ...ages.map((age) => ageName[age]))]}>
        {all.map((c) => (
          <tr key={`${c.state}-${c.reason}`}>
            <th scope="row" title={reasonMeans[c.reason] || stateMeans[c.state]}>{stateName[c.state]}{reasonName[c.reason] && `: ${reasonName[c.reason]}`}</th>
            <Cell amount={c.all} strong />
            {c.byAge.map((amount, i) => <Cell key={i} amount={amount} />)}
          </tr>
        ))}
      </Table>
    </Section>
  );
}

function Cell({ amount, strong = false }: { amount: Amount; strong?: boolean }) {
  if (amount.media === 0) return <td class="n muted">0</td>;
  return <td class="n">{strong ? <b>{count(amount.media)}</b> : count(amount.media)}<br /><small class="muted">{bytes(amount.bytes)}</small></td>;
}

const inBucket: readonly MediaState[] = [MediaState.CONFIRMED, MediaState.UPLOADED, MediaState.DELETING];

function bars(overview: Overview, measure: Measure): Bars {
  const shown = measure === "media" ? states : inBucket;
  return {
    labels: shown.map((state) => stateName[state]),
    sideways: true,
    stacked: true,
    number: measure === "media" ? count : bytes,
    series: ages.map((age, i) => ({
      name: ageName[age], color: `age-${i + 1}`, width: 0.7,
      values: shown.map((state) => total(overview.media, (m) => m.state === state && m.age === age)[measure]),
    })),
  };
}
