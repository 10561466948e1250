package main

// What a reconciliation takes for a stray or for missing, and what it removes.

const (
	reconcileRemove     = "internal/reconcile/remove.go"
	reconcileBreaker    = "internal/reconcile/breaker.go"
	reconcileJudge      = "internal/reconcile/judge.go"
	reconcileLook       = "internal/reconcile/look.go"
	reconcileCheckpoint = "internal/postgres/reconcile_checkpoint.go"
	reconcileStray      = "internal/postgres/reconcile_stray.go"
	adoption            = "internal/postgres/adoption.go"
	reconcileShard      = "internal/postgres/reconcile_shard.go"
	listFile            = "internal/objectstore/list.go"
	straysFile          = "internal/objectstore/strays.go"
)

func reconcileMutants() []mutant {
	const pkg = "./internal/reconcile"
	return []mutant{
		{
			name: "strays-without-grace", rule: "R7", breaks: "a stray goes as soon as two runs have seen it",
			edits: []edit{{reconcileRemove,
				"s.FirstRun == p.run.ID || s.FirstSeenAt.After(limit) || s.LastModified.After(limit):",
				"s.FirstRun == p.run.ID || limit.IsZero():"}},
			test: suite{pkg, "TestStraysGo"},
		},
		{
			name: "strays-after-one-run", rule: "R7", breaks: "a stray goes that only the run itself has seen",
			edits: []edit{{reconcileRemove, "case s.FirstRun == p.run.ID || s.FirstSeenAt", "case s.FirstSeenAt"}},
			test:  suite{pkg, "TestOneRunIsNotTwo"},
		},
		{
			name: "head-of-strays-ignored", rule: "R7", breaks: "a stray goes although what is there has been stored since",
			edits: []edit{{reconcileRemove,
				"a.same = found && o.ETag == s.ETag && o.SizeBytes == s.SizeBytes && plainVersion(o.VersionID) == plainVersion(s.VersionID) &&\n" +
					"\t\t\t\to.LastModified.Truncate(time.Second).Equal(s.LastModified)",
				"_, a.same = o, found && plainVersion(\"\") == \"\" && !time.Now().IsZero()"}},
			test: suite{pkg, "TestStraysThatStay"},
		},
		{
			name: "strays-deleted-whatever-they-are", rule: "R7", breaks: "the deletion of a stray does not ask for its ETag, and takes what has replaced it",
			edits: []edit{{straysFile, "input = append(input, types.ObjectIdentifier{Key: aws.String(o.Key), ETag: aws.String(`\"` + o.ETag + `\"`)})",
				"input = append(input, types.ObjectIdentifier{Key: aws.String(o.Key)})"}},
			test: suite{pkg, "TestStraysThatStay"},
		},
		{
			name: "newer-versions-deleted", rule: "R7", breaks: "with a stray's versions those go that were stored meanwhile",
			edits: []edit{{straysFile,
				"if newest.version != cmp.Or(o.VersionID, nullVersion) || newest.etag != o.ETag ||\n" +
					"\t\t!o.LastModified.IsZero() && !newest.modified.Truncate(time.Second).Equal(o.LastModified) {",
				"if cmp.Or(o.VersionID, nullVersion) == \"\" {"}},
			test: suite{pkg, "TestStraysThatStay"},
		},
		{
			name: "removal-without-row-lookup", rule: "R1", breaks: "an object goes whose row came after it was listed",
			edits: []edit{{reconcileStray, "AND NOT EXISTS (SELECT FROM coatcheck.media AS m WHERE m.key = s.key AND `+explains+`)\n", "\n"}},
			test:  suite{pkg, "TestStraysThatStay"},
		},
		{
			name: "adopted-during-a-sweep", rule: "R1", breaks: "an object is adopted that a suspended sweeper may still delete",
			edits: []edit{{adoption, " AND (m.deleted_at <= ?since OR m.etag IS DISTINCT FROM o.etag)", ""}},
			test:  suite{pkg, "TestSuspendedSweep"},
		},
		{
			name: "adopted-when-another-has-removed", rule: "R1", breaks: "an object is adopted that a suspended reconciler may still remove, since another has recorded that it did",
			edits: []edit{{adoption, "AND (s.removed_at IS NULL OR s.etag = o.etag)", "AND s.removed_at IS NULL"}},
			test:  suite{pkg, "TestSuspendedWhileAnotherRemoves"},
		},
		{
			name: "seen-again-is-not-being-removed", rule: "R1", breaks: "that a run has seen an object again makes forget that a suspended process may still remove it",
			edits: []edit{{reconcileCheckpoint, " OR s.etag = excluded.etag AND s.deleting_at > ?since THEN", " THEN"}},
			test:  suite{pkg, "TestSuspendedWhileAnotherRemoves"},
		},
		{
			name: "foreign-keys-removed", rule: "R8", breaks: "objects go whose keys nobody can attribute",
			edits: []edit{
				{reconcileRemove, "case !s.Ours || !p.ours(s.Key, p.adopted):", "case len(p.adopted) > 1000:"},
				{reconcileStray, "WHERE s.key = o.key AND s.ours AND s.removed_at IS NULL", "WHERE s.key = o.key AND s.removed_at IS NULL"},
			},
			test: suite{pkg, "TestStraysGo"},
		},
		{
			name: "breaker-off", rule: "R8", breaks: "at the wrong database everything goes",
			edits: []edit{{reconcileBreaker, "return c[CountStrays] > 0 && !(float64", "return c[CountStrays] < 0 && !(float64"}},
			test:  suite{pkg, "TestBreaker"},
		},
		{
			name: "untold-counts-as-seen", rule: "R8", breaks: "strays go that S3 could not be asked for, and that the breaker has not counted",
			edits: []edit{{reconcileCheckpoint, "SET kept_run = ?run WHERE key", "SET last_run = ?run WHERE key"}},
			test:  suite{pkg, "TestUntoldStraysStay"},
		},
		{
			name: "breaker-counts-foreign", rule: "R8", breaks: "objects that would stay anyway hide from the breaker how many would go",
			edits: []edit{{reconcileBreaker, "max(0, c[CountObjects]-c[CountForeign])", "c[CountObjects]"}},
			test:  suite{pkg, "TestBreakerLooksAtWhatIsOurs"},
		},
		{
			name: "budget-ignored", rule: "R8", breaks: "a run removes more than it may",
			edits: []edit{{reconcileRemove, "\tdue = due[:granted]\n", ""}},
			test:  suite{pkg, "TestStrayBudget"},
		},
		{
			name: "budget-leaks", rule: "R10", breaks: "what a process took of the budget and did not live to use is gone for the run",
			edits: []edit{{reconcileStray, "least(delete_budget, budget_left + ?before) AS budget", "least(delete_budget, budget_left + 0 * ?before) AS budget"}},
			test:  suite{pkg, "TestBudgetIsGivenBack"},
		},
		{
			name: "abandoned-run-removes", rule: "R8", breaks: "a run that was given up begins to remove the strays that it is looking at",
			edits: []edit{{reconcileStray,
				"if err := holdShard(ctx, tx, sh); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tvar held []string",
				"var held []string"}},
			test: suite{pkg, "TestAbandonBeforeTheIntent"},
		},
		{
			name: "failures-use-up-the-budget", rule: "R6", breaks: "strays that S3 refuses to delete hide all others for ever",
			edits: []edit{{reconcileRemove, "p.result.Unused = granted", "p.result.Unused = 0"}},
			test:  suite{pkg, "TestFailuresDoNotUseUpTheBudget"},
		},
		{
			name: "refused-stray-counts-as-gone", rule: "R6", breaks: "a stray that S3 refused to delete is recorded as removed",
			edits: []edit{{straysFile, "\t\ttell(id, each[i])\n", "\t\t_ = each[i]\n\t\ttell(id, nil)\n"}},
			test:  suite{pkg, "TestStraysThatStay"},
		},
		{
			name: "landing-on-anothers-object", rule: "R7", breaks: "what others stored under the key of a released media is deleted as a late upload",
			edits: []edit{{landSQL, " OR reused AND state IN ('deleting', 'deleted') THEN", " THEN"}},
			test:  suite{pkg, "TestReplacedAndReleasedDuringARun"},
		},
		{
			name: "replaced-media-deleted", rule: "R7", breaks: "a store that ignores conditions deletes what others stored under a released media's key",
			edits: []edit{{deleteFile, "if err == nil && found && now.ETag != o.ETag {", "if err == nil && found && now.ETag == \"\" {"}},
			test:  suite{pkg, "TestReplacedBeforeItsRelease"},
		},
		{
			name: "stray-left-below-a-marker", rule: "R2", breaks: "when versioning was enabled of late, a stray's version stays for good",
			edits: []edit{{straysFile, "if errors.Is(err, errMarked) {", "if false {"}},
			test:  suite{pkg, "TestVersioningEnabledBeforeARemoval"},
		},
		{
			name: "quarantine-deletes", rule: "R7", breaks: "what was to be moved into quarantine is deleted",
			edits: []edit{{straysFile, "if quarantine != \"\" {", "if quarantine == \"none\" {"}},
			test:  suite{pkg, "TestStraysGo"},
		},
		{
			name: "no-head-before-missing", rule: "R2", breaks: "what a listing lacks is called missing, and S3 is not asked for it",
			edits: []edit{{reconcileLook, "\t\to, found, err := w.objects.Head(ctx, m.Key)\n",
				"\t\tif c.ask == askMissing {\n\t\t\tadd(func() { b.Missing = append(b.Missing, c.row) })\n\t\t\treturn nil\n\t\t}\n\t\to, found, err := w.objects.Head(ctx, m.Key)\n"}},
			test: suite{pkg, "TestMissingIsAskedFor"},
		},
		{
			name: "missing-without-fence", rule: "R2", breaks: "a media is called missing whose object landed after S3 was asked for it",
			edits: []edit{{reconcileCheckpoint, "ON m.id = r.id AND m.revision = r.revision\n\t\tWHERE m.state", "ON m.id = r.id\n\t\tWHERE m.state"}},
			test:  suite{pkg, "TestMissingRowThatChanged"},
		},
		{
			name: "position-not-saved", rule: "R10", breaks: "a run that is gone on with counts again what was counted before",
			edits: []edit{{reconcileCheckpoint, "return saveShard(ctx, tx, sh, b.Position, after, next)", "return saveShard(ctx, tx, sh, sh.Position, after, next)"}},
			test:  suite{pkg, "TestKilledAnywhere"},
		},
		{
			name: "lost-lease-records", rule: "R10", breaks: "a process that has lost its shard records there, beside the one that has it",
			edits: []edit{{reconcileShard, "AND number = ? AND lease = ? AND phase = ? FOR UPDATE", "AND number = ? AND (lease = ? OR true) AND phase = ? FOR UPDATE"}},
			test:  suite{pkg, "TestLostLease"},
		},
		{
			name: "removal-not-found-out", rule: "R6", breaks: "what a killed process had removed is counted as changed, and not as removed",
			edits: []edit{{reconcileRemove, "case a.gone && !s.DeletingAt.IsZero():", "case a.gone && s.Key == \"\":"}},
			test:  suite{pkg, "TestRemovalThatDidNotLiveToSaySo"},
		},
		{
			name: "tombstone-objects-stay", rule: "R2", breaks: "an object of a tombstone that nobody was told of is not deleted again",
			edits: []edit{{reconcileJudge, "\tcase media.StateDeleted:\n\t\treturn judgement{ask: askLanding}\n", "\tcase media.StateDeleted:\n\t\treturn judgement{}\n"}},
			test:  suite{pkg, "TestPlanted"},
		},
		{
			name: "in-flight-lands", rule: "R7", breaks: "an object whose notification is on its way counts as one whose notification was lost",
			edits: []edit{{reconcileJudge, "if r.now().Sub(o.LastModified) < r.config.InFlight {", "if r.now().Sub(o.LastModified) < 0 {"}},
			test:  suite{pkg, "TestPlanted"},
		},
		{
			name: "dry-run-changes", rule: "R1", breaks: "a dry run lands, rejects and deletes",
			edits: []edit{{reconcileLook, "\tif !w.run.DryRun {\n\t\tb.Landings", "\tif true {\n\t\tb.Landings"}},
			test:  suite{pkg, "TestPlanted"},
		},
		{
			name: "page-is-the-end", rule: "R2", breaks: "a listing ends with its first page",
			edits: []edit{{listFile, "if !yield(p.objects, nil) || !p.truncated {", "if !yield(p.objects, nil) || p != nil {"}},
			test:  suite{pkg, "TestManyPages"},
		},
		{
			name: "upload-marker-goes-back-encoded", rule: "R2", breaks: "unfinished uploads are listed for ever, or left out, where their keys need an encoding",
			edits: []edit{{listFile, "decodeMarker(aws.ToString(out.NextKeyMarker), out.EncodingType)", "aws.ToString(out.NextKeyMarker)"}},
			test:  suite{"./internal/objectstore", "TestUploadsOverPages"},
		},
		{
			name: "broken-listing-is-the-end", rule: "R2", breaks: "a listing that is cut off counts as one that has ended",
			edits: []edit{{"internal/reconcile/scan.go", "\t\tpage, ok, err := pages.next()\n\t\tif err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif !ok {",
				"\t\tpage, ok, err := pages.next()\n\t\tif err != nil || !ok {"}},
			test: suite{pkg, "TestListingThatBreaksOff"},
		},
		{
			name: "seen-is-forgotten", rule: "R7", breaks: "a run forgets the strays that it has just seen, and none is ever due",
			edits: []edit{{reconcileCheckpoint, "key <= ?until AND last_run <> ?run AND last_seen_at", "key <= ?until AND last_seen_at"}},
			test:  suite{pkg, "TestStraysGo"},
		},
		{
			name: "old-inventory-knows-new-rows", rule: "R2", breaks: "what was stored after an inventory's scan is judged by it",
			edits: []edit{{reconcileJudge, "case !listedAt.IsZero() && !row.LandedAt.Before(listedAt):", "case !listedAt.IsZero() && row == nil:"}},
			test:  suite{pkg, "TestOldInventory"},
		},
		{
			name: "old-inventory-forgets", rule: "R7", breaks: "an inventory ends the records of strays that were seen after its scan",
			edits: []edit{{reconcileCheckpoint, "if sourceAt.IsZero() {", "if !now.IsZero() {"}},
			test:  suite{pkg, "TestOldInventory"},
		},
		{
			name: "unclear-is-forgotten", rule: "R7", breaks: "a run ends the records of what it could not ask S3 for",
			edits: []edit{{reconcileCheckpoint, "if err := keepRecords(ctx, tx, sh.RunID, b, done.Missing); err != nil {", "if err := keepRecords(ctx, tx, sh.RunID, reconcile.Batch{}, nil); err != nil {"}},
			test:  suite{pkg, "TestUnclearIsNotForgotten"},
		},
		{
			name: "trial-forgets", rule: "R7", breaks: "a dry run of an adoption forgets the strays that are known",
			edits: []edit{{reconcileCheckpoint, "\tif !b.Trial {\n", "\tif true {\n"}},
			test:  suite{pkg, "TestTrialOfAnAdoptionForgetsNothing"},
		},
		{
			name: "foreign-uploads-aborted", rule: "R8", breaks: "unfinished uploads of other tools are aborted",
			edits: []edit{{"internal/reconcile/uploads.go", " || !p.ours(u.Key, p.adopted) {", " {"}},
			test:  suite{pkg, "TestUnfinishedUploads"},
		},
	}
}
