package main

// Who gets a media, and that it stays theirs.

const (
	decide     = "internal/media/decide.go"
	claimSQL   = "internal/postgres/claim.go"
	confirmSQL = "internal/postgres/confirm.go"
	gather     = "internal/postgres/gather.go"
	claimsSQL  = "migrations/00009_claims_by_id.sql" // where the functions are as they were made last
)

func claimMutants() []mutant {
	return []mutant{
		{
			name: "confirm-ignores-deleting", rule: "R3", breaks: "what is being deleted can be confirmed",
			edits: []edit{{decide,
				"if t, ok := Next(m.State, EventConfirm); ok {",
				"if t, ok := Next(m.State, EventConfirm); ok || m.State == StateDeleting {\n\t\tt.To, m.Reason = StateConfirmed, \"\""}},
			test: suite{"./internal/media", "TestConfirm"},
		},
		{
			name: "confirm-without-landing", rule: "R3", breaks: "what has not landed can be confirmed",
			edits: []edit{{"internal/claim/claim.go", "\t\t\tif ok {\n\t\t\t\tlanding := m.Observe(object)",
				"\t\t\t_ = ok\n\t\t\t{\n\t\t\t\tobject.SizeBytes, object.ContentType = m.SizeBytes, m.ContentType\n\t\t\t\tlanding := m.Observe(object)"}},
			test: suite{"./internal/rpc", "TestConfirmBeforeTheNotification"},
		},
		{
			name: "confirm-believes-s3-of-anything", rule: "R3", breaks: "a confirmation before the notification takes any object for the declared one",
			edits: []edit{{"internal/claim/claim.go", "landing := m.Observe(object)",
				"landing := media.Landing{MediaID: id, SizeBytes: m.SizeBytes, ETag: object.ETag}"}},
			test: suite{"./internal/rpc", "TestConfirmIsNotFooled"},
		},
		{
			name: "confirm-without-asking", rule: "R3", breaks: "a client that confirms before the notification is told no",
			edits: []edit{{"internal/claim/claim.go", "item.Code == media.CodeNotLanded", "false"}},
			test:  suite{"./internal/rpc", "TestConfirmBeforeTheNotification"},
		},
		{
			name: "confirm-answers-what-was", rule: "R3", breaks: "a confirmation is told what the media was before S3 was asked for it",
			edits: []edit{{"internal/claim/claim.go", "if len(pending) == 0 {", "if len(landings) == 0 {"}},
			test:  suite{"./internal/claim", "TestWhatHappensWhileS3IsAsked"},
		},
		{
			name: "claim-stolen", rule: "R1", breaks: "a second claim is told that it holds what another one holds",
			edits: []edit{{decide, "\t\tif m.Claim == claim {\n", "\t\tif true {\n"}},
			test:  suite{"./internal/postgres", "TestConfirmBatch"},
		},
		{
			name: "release-by-anybody", rule: "R1", breaks: "a claim is ended by one who does not hold it",
			edits: []edit{{decide, `if e == EventRelease && m.Claim != "" && m.Claim != claim {`, "if false {"}},
			test:  suite{"./internal/media", "TestDiscard"},
		},
		{
			name: "half-a-batch", rule: "R3", breaks: "a batch of confirmations that is refused is confirmed in part",
			edits: []edit{{claimSQL,
				"\t\tif failed {\n\t\t\treturn refused\n\t\t}\n\t\treturn saveRows(ctx, tx, changed)\n",
				"\t\tif err := saveRows(ctx, tx, changed); err != nil || !failed {\n\t\t\treturn err\n\t\t}\n" +
					"\t\tif err := tx.Commit(); err != nil {\n\t\t\treturn err\n\t\t}\n\t\treturn refused\n"}},
			test: suite{"./internal/postgres", "TestConfirmBatch"},
		},
		{
			name: "hung-statement-holds-up-all", rule: "R10", breaks: "a statement that hangs holds up every creation and confirmation after it",
			edits: []edit{{gather, "\t\ttime.AfterFunc(maxTurn, g.watch)\n", ""}},
			test:  suite{"./internal/postgres", "TestNobodyWaitsForLong"},
		},
		{
			name: "overdue-is-left-behind", rule: "R10", breaks: "what has waited while two statements were under way waits for the one that hangs",
			edits: []edit{{gather, " && !g.overdue() {", " {"}, {gather, "left = maxTurn //", "return //"}},
			test:  suite{"./internal/postgres", "TestOverdueBesideTwo"},
		},
		{
			name: "rest-is-left-behind", rule: "R10", breaks: "what did not fit into a statement waits for the other that hangs",
			edits: []edit{{gather, "if len(g.waiting) > 0 && !g.watched {", "if g.rows < alongside && !g.watched {"}},
			test:  suite{"./internal/postgres", "TestRestOfManyBesideAnother"},
		},
		{
			name: "few-are-left-waiting", rule: "R10", breaks: "a few creations or confirmations that came while a statement was under way are never answered",
			edits: []edit{{gather, "g.running > 1 && g.rows < alongside", "g.rows < alongside"}},
			test:  suite{"./internal/postgres", "TestTurns"},
		},
		{
			name: "half-a-batch-at-once", rule: "R3", breaks: "a batch of which only some can be confirmed at once is confirmed in part",
			edits: []edit{{confirmSQL, "HAVING count(*) = ($8::int[])[call]", "HAVING count(*) > 0"}},
			test:  suite{"./internal/postgres", "TestConfirmsAreGathered"},
		},
		{
			name: "half-a-batch-in-one-pass", rule: "R3", breaks: "a batch of which only some are UPLOADED is confirmed in part",
			edits: []edit{{confirmSQL, "return c.found > 0 && c.found < c.size()", "return false"}},
			test:  suite{"./internal/postgres", "TestConfirmBatch"},
		},
		{
			name: "batch-waits-for-locks", rule: "R10", breaks: "batches of confirmations wait for a row that somebody holds",
			edits: []edit{{confirmSQL, "BEGIN; SET LOCAL lock_timeout = '20ms'", "BEGIN"}},
			test:  suite{"./internal/postgres", "TestConfirmsAreGathered"},
		},
		{
			name: "confirm-waits-for-locks", rule: "R10", breaks: "many confirmations wait for a row that somebody holds",
			edits: []edit{{confirmSQL, "FOR UPDATE OF m SKIP LOCKED", "FOR UPDATE OF m"}},
			test:  suite{"./internal/postgres", "TestConfirmsAreGathered"},
		},
		{
			name: "confirm-takes-gone", rule: "R1", breaks: "a confirmation takes what is being deleted, when many come at once",
			edits: []edit{{confirmSQL, "AND m.state || '' = 'uploaded' AND", "AND m.state || '' <> 'confirmed' AND"}},
			test:  suite{"./internal/postgres", "TestConfirmBatch|TestConfirmsAreGathered"},
		},
		{
			name: "confirm-anybodys", rule: "R9", breaks: "a confirmation takes what is another tenant's, when many come at once",
			edits: []edit{{confirmSQL, " AND m.tenant || '' = ($5::text[])[a.scope]", ""}},
			test:  suite{"./internal/postgres", "TestNobodySeesWhatIsNotTheirs"},
		},
		{
			name: "confirm-of-the-first-tenant", rule: "R9", breaks: "a confirmation takes what is another tenant's, whose call it shares a statement with",
			edits: []edit{{confirmSQL, "($5::text[])[a.scope]", "($5::text[])[1]"}},
			test:  suite{"./internal/postgres", "TestBatchesAreGathered"},
		},
		{
			name: "confirm-without-lock", rule: "R1", breaks: "a confirmation and a sweep decide about the same row at a time",
			edits: []edit{{claimSQL, `scope).OrderExpr("m.id").For("UPDATE")`, `scope).OrderExpr("m.id")`}},
			test:  suite{"./internal/postgres", "TestDecisionMeetsAChange"},
		},
		{
			name: "confirmed-stays-due", rule: "R1", breaks: "a confirmation leaves the media due for the sweep",
			edits: []edit{{decide, "m.State, m.Claim, m.ConfirmedAt, m.DueAt = t.To, claim, now, time.Time{}", "m.State, m.Claim, m.ConfirmedAt = t.To, claim, now"}},
			test:  suite{"./internal/media", "TestConfirm"},
		},
		{
			name: "sql-claims-anything", rule: "R3", breaks: "claim_media says yes to what is being deleted",
			edits: []edit{{claimsSQL, "WHEN l.state = 'uploaded' THEN NULL", "WHEN l.state IN ('uploaded', 'deleting', 'deleted') THEN NULL"}},
			test:  suite{"./internal/postgres", "TestClaimMediaIsTheAPI"},
		},
		{
			name: "sql-claims-without-lock", rule: "R1", breaks: "claim_media says yes to what a sweep is just taking",
			edits: []edit{{claimsSQL,
				"(claim_within.owner IS NULL OR m.owner || '' = claim_within.owner)\n        ORDER BY m.id\n        FOR UPDATE\n",
				"(claim_within.owner IS NULL OR m.owner || '' = claim_within.owner)\n        ORDER BY m.id\n"}},
			test: suite{"./internal/postgres", "TestClaimMediaMeetsAChange|TestClaimMediaMeetsASweep"},
		},
		{
			name: "sql-releases-by-anybody", rule: "R1", breaks: "release_media ends a claim that another one holds",
			edits: []edit{{claimsSQL, "WHEN l.claim <> release_media.claim THEN 'claim_conflict' -- held by another", "WHEN false THEN 'claim_conflict'"}},
			test:  suite{"./internal/postgres", "TestClaimMediaIsTheAPI"},
		},
	}
}
