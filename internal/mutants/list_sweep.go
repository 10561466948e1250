package main

// What the sweep takes, and what it makes of it.

const (
	sweepSQL     = "internal/postgres/sweep.go"
	sweepPass    = "internal/sweep/sweep.go"
	sweepUploads = "internal/sweep/uploads.go"
)

func sweepMutants() []mutant {
	return []mutant{
		{
			name: "sweep-takes-confirmed", rule: "R1", breaks: "CONFIRMED media expire as if nobody had claimed them",
			edits: []edit{{sweepSQL,
				"WHERE state = $1 AND due_at <= $2",
				"WHERE state IN ($1, 'confirmed') AND coalesce(due_at, $2) <= $2"}},
			test: suite{"./internal/postgres", "TestExpireClaims"},
		},
		{
			name: "sweep-without-state-guard", rule: "R1", breaks: "whatever was given to be expired expires, whatever its state is",
			edits: []edit{{sweepSQL, "FROM leased WHERE m.id = leased.id AND m.state = 'pending'\nRETURNING", "FROM leased WHERE m.id = leased.id\nRETURNING"}},
			test:  suite{"./internal/postgres", "TestTransitions"},
		},
		{
			name: "lease-without-due-guard", rule: "R2", breaks: "uploads and claims are given up before their windows are over, and tombstones forgotten",
			edits: []edit{{sweepSQL, "WHERE state = $1 AND due_at <= $2", "WHERE state = $1 AND $2::timestamptz IS NOT NULL"}},
			test:  suite{"./internal/sweep", "TestThreeClasses"},
		},
		{
			name: "sweep-without-fence", rule: "R1", breaks: "what was decided about one revision of a row is done to the next",
			edits: []edit{{sweepSQL, "(id, revision) ON m.id = l.id AND m.revision = l.revision", "(id, revision) ON m.id = l.id"}},
			test:  suite{"./internal/postgres", "TestWhatWasLeasedMayChange"},
		},
		{
			name: "retry-without-fence", rule: "R2", breaks: "an object that landed while its deletion failed waits for the back-off",
			edits: []edit{{sweepSQL, "\t\tON m.id = l.id AND m.revision = l.revision\n", "\t\tON m.id = l.id\n"}},
			test:  suite{"./internal/postgres", "TestWhatWasLeasedMayChange"},
		},
		{
			name: "expiry-waits-for-confirmation", rule: "R1", breaks: "the sweep waits for a row that is being confirmed, and expires it then",
			edits: []edit{{sweepSQL,
				"ORDER BY due_at\n\tLIMIT $3\n\tFOR UPDATE SKIP LOCKED",
				"ORDER BY due_at\n\tLIMIT $3"}},
			test: suite{"./internal/postgres", "TestExpiryMeetsAConfirmation"},
		},
		{
			name: "no-head-before-giving-up", rule: "R2", breaks: "an upload whose notification was lost is called never uploaded",
			edits: []edit{{sweepUploads, "l.object, l.found, l.err = s.objects.Head(ctx, m.Key)", "l.found, _ = false, m.Key"}},
			test:  suite{"./internal/sweep", "TestLostNotification"},
		},
		{
			name: "unknown-is-absent", rule: "R2", breaks: "what S3 could not be asked for is called never uploaded",
			edits: []edit{{sweepUploads, "failure = first(failure, l.err)\n", "absent = append(absent, ms[i])\n"}},
			test:  suite{"./internal/sweep", "TestUnknownIsNotAbsent"},
		},
		{
			name: "forbidden-is-absent", rule: "R2", breaks: "a HEAD that is answered 403 counts as one that found nothing",
			edits: []edit{{"internal/objectstore/head.go",
				"if status(err) == http.StatusNotFound {", "if status(err) == http.StatusNotFound || status(err) == http.StatusForbidden {"}},
			test: suite{"./internal/objectstore", "TestHeadFailsClosed"},
		},
		{
			name: "no-bucket-is-absent", rule: "R2", breaks: "in a bucket that does not exist every upload was never uploaded",
			edits: []edit{{"internal/objectstore/head.go", "if err := s.mustExist(ctx); err != nil {", "if false {"}},
			test:  suite{"./internal/objectstore", "TestHeadInABucketThatIsNotThere"},
		},
		{
			name: "lease-not-moved", rule: "R10", breaks: "what one sweeper has taken is due for the next at once",
			edits: []edit{{sweepSQL, "SET due_at = $4, attempts", "SET due_at = m.due_at, attempts"}},
			test:  suite{"./internal/postgres", "TestLeasePending"},
		},
		{
			name: "lease-without-lock", rule: "R10", breaks: "two sweepers lease the same rows",
			edits: []edit{{sweepSQL,
				"ORDER BY due_at\n\tLIMIT $3\n\tFOR UPDATE SKIP LOCKED",
				"ORDER BY due_at\n\tLIMIT $3"}},
			test: suite{"./internal/postgres", "TestLeasesAreDisjoint"},
		},
		{
			name: "lease-for-ever", rule: "R10", breaks: "what a killed sweeper had taken is not due again when its lease ends",
			edits: []edit{{sweepSQL, "limit, now.Add(lease), attempt)", "limit, now.Add(1000*lease), attempt)"}},
			test:  suite{"./internal/sweep", "TestCrashAfterDeleting"},
		},
		{
			name: "suspended-sweeper-deletes", rule: "R1", breaks: "a sweeper that wakes up after its lease has ended deletes what was there before, and what is there now",
			edits: []edit{{sweepPass, "s.config.Lease*3/4-max(0, s.wall().Sub(leased))", "s.config.Lease*3/4-max(0, 0*s.wall().Sub(leased))"}},
			test:  suite{"./internal/sweep", "TestSuspendedBeforeADeletion"},
		},
		{
			name: "sweeper-without-clock-check", rule: "R7", breaks: "a sweeper whose clock is ahead deletes what has just landed",
			edits: []edit{{"cmd/coatcheck/program.go", "\tconfig.Ready = p.store.CheckClock\n", ""}},
			test:  suite{"./cmd/coatcheck", "TestWhoseClockIsAhead"},
		},
		{
			name: "reconciler-without-clock-check", rule: "R7", breaks: "by a clock that is ahead every grace period is over",
			edits: []edit{{"cmd/coatcheck/program.go", "\tc.Ready = p.store.CheckClock\n", ""}},
			test:  suite{"./cmd/coatcheck", "TestWhoseClockIsAhead"},
		},
		{
			name: "sweeps-when-not-ready", rule: "R7", breaks: "a pass is made although the clock was found to be wrong",
			edits: []edit{{"internal/sweep/pass.go", "\tif err == nil {\n\t\tp.Result, err = s.rounds(limited", "\tif err == nil || true {\n\t\tp.Result, err = s.rounds(limited"}},
			test:  suite{"./internal/sweep", "TestNotReady"},
		},
		{
			name: "migrations-without-lock", rule: "R10", breaks: "processes that start together run the same migration at a time",
			edits: []edit{{"internal/postgres/migrate.go", "goose.WithStore(store), goose.WithSessionLocker(locker))", "goose.WithStore(store))\n\t_ = locker"}},
			test:  suite{"./internal/postgres", "TestMigrationWaitsForAnother"},
		},
	}
}
