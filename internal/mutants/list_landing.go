package main

// What a landing does to its media.

const (
	landSQL        = "internal/postgres/land.go"
	landPendingSQL = "migrations/00006_land_pending.sql"
)

func landingMutants() []mutant {
	return []mutant{
		{
			name: "sequencer-ignored", rule: "R5", breaks: "of two PUTs the one whose notification came last counts",
			edits: []edit{{landSQL, "e.new_sequencer = '' OR l.sequencer IS NULL OR e.new_sequencer > l.sequencer AS news", "true AS news"}},
			test:  suite{"./internal/postgres", "TestOrderOfEventsDoesNotMatter"},
		},
		{
			name: "sequencer-as-text", rule: "R5", breaks: "sequencers of different lengths are compared as texts",
			edits: []edit{{"internal/media/landing.go",
				`zeros[len(digits):] + digits`, `digits + zeros[len(digits):]`}},
			test: suite{"./internal/media", "TestSequencerOrder|TestSequencerOrderIsNumeric"},
		},
		{
			name: "last-in-batch-wins", rule: "R5", breaks: "of two PUTs in one batch the one that stands last counts",
			edits: []edit{{"internal/media/landing.go", "if later(l, g.Landing) {", "if true {"}},
			test:  suite{"./internal/media", "TestGatherIsTheSameForEveryOrder"},
		},
		{
			name: "batch-hides-wrong-size", rule: "R5", breaks: "a PUT of the wrong size is forgotten when a later one is in the same batch",
			edits: []edit{{"internal/media/landing.go", "g.MinSize = min(g.MinSize, l.SizeBytes)", "g.MinSize = g.SizeBytes"}},
			test:  suite{"./internal/media", "TestGather|TestGatherIsTheSameForEveryOrder"},
		},
		{
			name: "size-not-compared", rule: "R3", breaks: "an object that has not the declared size lands",
			edits: []edit{{landSQL, "e.mismatch OR e.min_size <> l.size_bytes OR e.max_size <> l.size_bytes AS wrong", "e.mismatch AS wrong"}},
			test:  suite{"./internal/postgres", "TestVerdicts"},
		},
		{
			name: "size-of-pending-not-compared", rule: "R3", breaks: "an object that has not the declared size lands on what is PENDING",
			edits: []edit{{landPendingSQL, " AND m.size_bytes = e.size_bytes", ""}},
			test:  suite{"./internal/postgres", "TestVerdicts"},
		},
		{
			name: "sizes-of-pending-not-compared", rule: "R5", breaks: "of two PUTs on what is PENDING the one with the wrong size is forgotten",
			edits: []edit{{landSQL, `if g.Mismatch == "" && g.MinSize == g.MaxSize {`, `if g.Mismatch == "" {`}},
			test:  suite{"./internal/postgres", "TestOrderOfEventsDoesNotMatter"},
		},
		{
			name: "mismatch-of-pending-not-recorded", rule: "R3", breaks: "what S3 said to be another file lands on what is PENDING all the same",
			edits: []edit{{landSQL, `if g.Mismatch == "" && g.MinSize == g.MaxSize {`, `if g.MinSize == g.MaxSize {`}},
			test:  suite{"./internal/postgres", "TestVerdicts"},
		},
		{
			name: "pending-not-asked", rule: "R1", breaks: "a landing makes UPLOADED again what is CONFIRMED or on its way out",
			edits: []edit{{landPendingSQL, " AND m.state || '' = 'pending'", ""}},
			test:  suite{"./internal/postgres", "TestVerdicts"},
		},
		{
			name: "pending-in-any-order", rule: "R10", breaks: "two batches of landings lock rows in different orders, and wait for each other",
			edits: []edit{{landPendingSQL, " SET enable_seqscan = off", ""}},
			test:  suite{"./internal/postgres", "TestLandingsLockInTheOrderOfIDs"},
		},
		{
			name: "type-not-compared", rule: "R3", breaks: "an object that has not the declared type lands when S3 is asked for it",
			edits: []edit{{"internal/media/observe.go", "case o.ContentType != m.ContentType:", "case false:"}},
			test:  suite{"./internal/sweep", "TestLostNotificationOfAnotherFile"},
		},
		{
			name: "checksum-not-compared", rule: "R3", breaks: "an object that has not the declared checksum lands when S3 is asked for it",
			edits: []edit{{"internal/media/observe.go", "!bytes.Equal(o.ChecksumSHA256, m.ChecksumSHA256):", "bytes.Equal(nil, m.ChecksumSHA256):"}},
			test:  suite{"./internal/media", "TestObserve"},
		},
		{
			name: "mismatch-not-recorded", rule: "R3", breaks: "what S3 said to be another file lands all the same",
			edits: []edit{{landSQL, `g.MinSize, g.MaxSize, g.Mismatch != ""`, "g.MinSize, g.MaxSize, false"}},
			test:  suite{"./internal/sweep", "TestLostNotificationOfAnotherFile"},
		},
		{
			name: "confirmed-is-replaced", rule: "R3", breaks: "an overwritten CONFIRMED media takes on the other object's ETag and version",
			edits: []edit{{landSQL, "l.state = 'confirmed' AS kept", "false AS kept"}},
			test:  suite{"./internal/rpc", "TestOverwritten"},
		},
		{
			name: "overwriting-not-noted", rule: "R3", breaks: "that a CONFIRMED media was overwritten is not written down",
			edits: []edit{{landSQL, "CASE WHEN j.verdict = 'conflict' THEN coalesce(j.overwritten_at, $8) ELSE j.overwritten_at END", "j.overwritten_at"}},
			test:  suite{"./internal/postgres", "TestVerdicts"},
		},
		{
			name: "other-version-served", rule: "R3", breaks: "a download gives the newest version and not the one that was confirmed",
			edits: []edit{{"internal/objectstore/presign.go", `if m.VersionID != "" {`, "if false {"}},
			test:  suite{"./internal/objectstore", "TestDownloadOfAVersion"},
		},
		{
			name: "not-write-once", rule: "R3", breaks: "a URL can be used again, and replaces what was confirmed",
			edits: []edit{{"internal/objectstore/presign.go", `, field{"If-None-Match", "*"})`, ")"}},
			test:  suite{"./internal/objectstore", "TestUploadIsWriteOnce"},
		},
		{
			name: "size-not-signed", rule: "R3", breaks: "a URL takes an object of any size",
			edits: []edit{{"internal/objectstore/presign.go", `append(header, field{"Content-Length", strconv.FormatInt(m.SizeBytes, 10)}, field`, `append(header[:len(strconv.Itoa(0))-1], field`}},
			test:  suite{"./internal/objectstore", "TestOnlyTheDeclaredUploadFits"},
		},
		{
			name: "checksum-not-signed", rule: "R3", breaks: "a URL takes an object with any contents",
			edits: []edit{{"internal/objectstore/presign.go", "if len(m.ChecksumSHA256) > 0 {", "if false {"}},
			test:  suite{"./internal/objectstore", "TestOnlyTheDeclaredUploadFits"},
		},
		{
			name: "late-landing-ignored", rule: "R2", breaks: "an object that lands on a tombstone stays",
			edits: []edit{{landSQL, "WHEN state = 'deleted' THEN 'late'", "WHEN state = 'deleted' THEN 'duplicate'"}},
			test:  suite{"./internal/sweep", "TestLatePut"},
		},
		{
			name: "landing-on-deleting-ignored", rule: "R2", breaks: "a landing on a DELETING media does not raise its revision, and is overtaken by the deletion",
			edits: []edit{{landSQL,
				"AND (j.verdict IN ('landed', 'rejected', 'deleting', 'late', 'replaced', 'conflict')",
				"AND (j.verdict IN ('landed', 'rejected', 'late', 'replaced', 'conflict')"}},
			test: suite{"./internal/sweep", "TestLandingAfterTheDeletion"},
		},
		{
			name: "held-is-unknown", rule: "R4", breaks: "the notification of a media whose row a transaction holds is taken for a stray's, and deleted",
			edits: []edit{{landSQL, "THEN 'held'", "THEN 'unknown'"}},
			test:  suite{"./internal/postgres", "TestNotificationMeetsAHeldRow"},
		},
		{
			name: "held-is-acknowledged", rule: "R4", breaks: "the message of a landing that was not recorded, since its row is held, is deleted",
			edits: []edit{{"internal/consumer/write.go", "if len(rows) > 0 {", "if false {"}},
			test:  suite{"./internal/consumer", "TestHeldRowsHoldUpNobody"},
		},
		{
			name: "landing-without-lock", rule: "R1", breaks: "a landing is judged by what the row was before somebody changed it",
			edits: []edit{{landSQL, "\tORDER BY m.id\n\tFOR UPDATE %s\n", "\tORDER BY m.id -- %s\n"}},
			test:  suite{"./internal/postgres", "TestLandingMeetsAChange"},
		},
		{
			name: "landed-by-assumption", rule: "R5", breaks: "all of a batch counts as landed when some of it has",
			edits: []edit{{"internal/postgres/land.go", "if count == len(ids) {", "if count > 0 {"}},
			test:  suite{"./internal/postgres", "TestLandABatch"},
		},
		{
			name: "heartbeat-of-the-acknowledged", rule: "R4", breaks: "a message that was let go takes another's heartbeats with it",
			edits: []edit{{"internal/consumer/heartbeat.go", "h.held[it.place-1], last.place = last, it.place", "h.held[it.place-1] = last"}},
			test:  suite{"./internal/consumer", "TestHeartbeatsOfWhatIsHeld"},
		},
		{
			name: "foreign-keys-land", rule: "R5", breaks: "a notification of a key that is not the media's lands it",
			edits: []edit{{"internal/media/key.go", "if err != nil || rest[2] != '/' || !strings.HasSuffix(text, shard) || strings.ToLower(text) != text {", "if err != nil || shard == text {"}},
			test:  suite{"./internal/media", "TestKeysRefuseWhatTheyDoNotMake"},
		},
	}
}
