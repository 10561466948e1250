package main

// How objects are deleted, and what is written down of it.

const (
	deletions  = "internal/sweep/deletions.go"
	deleteFile = "internal/objectstore/delete.go"
)

func deletionMutants() []mutant {
	return []mutant{
		{
			name: "key-errors-forgotten", rule: "R6", breaks: "a DeleteObjects call that is answered 200 counts for every key in it",
			edits: []edit{{deleteFile, "errs[i] = keyError(n, e)", "_ = e"}},
			test:  suite{"./internal/objectstore", "TestDeleteReadsTheErrorOfEachKey"},
		},
		{
			name: "silence-is-success", rule: "R6", breaks: "a key that the answer does not mention counts as deleted",
			edits: []edit{{deleteFile, "\t\tcase !ok:\n", "\t\tcase !ok && n.version == \"none\":\n"}},
			test:  suite{"./internal/objectstore", "TestDeleteTakesSilenceForNo"},
		},
		{
			name: "deleted-without-confirmation", rule: "R6", breaks: "a media is DELETED although S3 refused to delete its object",
			edits: []edit{{deletions, "case errs[i] == nil:", "case true:"}},
			test:  suite{"./internal/sweep", "TestBackOff"},
		},
		{
			name: "deleted-before-deleting", rule: "R6", breaks: "a media is DELETED first, and its object deleted then",
			edits: []edit{{deletions,
				"errs, err := s.deleteTheirs(ctx, leased, ms)\n",
				"if _, err := finish(ctx, ms); err != nil {\n\t\treturn false, err\n\t}\n\terrs, err := s.deleteTheirs(ctx, leased, ms)\n"}},
			test: suite{"./internal/sweep", "TestS3IsDown"},
		},
		{
			name: "shutdown-forgets", rule: "R6", breaks: "what S3 has confirmed is not written down when the process is being stopped",
			edits: []edit{{sweepPass, "return context.WithTimeout(context.WithoutCancel(ctx), recordLimit)", "return context.WithTimeout(ctx, recordLimit)"}},
			test:  suite{"./internal/sweep", "TestShutdownWhileDeleting"},
		},
		{
			name: "calls-outlast-lease", rule: "R10", breaks: "S3 is asked for longer than the lease, and two sweepers work on the same rows",
			edits: []edit{{sweepPass, "s.config.Lease*3/4-max(", "s.config.Lease*2-max("}},
			test:  suite{"./internal/sweep", "TestCallsEndBeforeTheLease"},
		},
		{
			name: "finish-without-fence", rule: "R2", breaks: "a media whose object came back during its deletion is DELETED",
			edits: []edit{{sweepSQL,
				"const finishSQL = `\nWITH leased AS MATERIALIZED (` + stillLeased + `)",
				"const finishSQL = `\nWITH leased AS (SELECT unnest(?ids::uuid[]) AS id)"}},
			test: suite{"./internal/sweep", "TestLandingAfterTheDeletion"},
		},
		{
			name: "failed-deletion-forgotten", rule: "R6", breaks: "why a deletion failed is not written down, and nobody sees it",
			edits: []edit{{sweepSQL, "SET due_at = leased.due_at, last_error = leased.error, revision", "SET due_at = leased.due_at, revision"}},
			test:  suite{"./internal/sweep", "TestBackOff"},
		},
		{
			name: "no-back-off", rule: "R6", breaks: "what cannot be deleted is tried again at once, for ever",
			edits: []edit{{deletions, "m.DueAt = s.now().Add(s.config.Backoff.Delay(attempts))", "m.DueAt = s.now().Add(0 * s.config.Backoff.Delay(attempts))"}},
			test:  suite{"./internal/sweep", "TestBackOff"},
		},
		{
			name: "outage-is-the-keys-fault", rule: "R2", breaks: "after an outage of S3 each object waits as if it alone could not be deleted",
			edits: []edit{{deletions, "if err != nil || wholeCall(errs[i]) {", "if false {"}},
			test:  suite{"./internal/sweep", "TestOutageIsNotTheKeysFault"},
		},
		{
			name: "attempts-not-counted", rule: "R6", breaks: "the back-off never grows",
			edits: []edit{{sweepSQL, "attempts = m.attempts + $5", "attempts = m.attempts + 0*$5"}},
			test:  suite{"./internal/sweep", "TestBackOff"},
		},
		{
			name: "no-tombstone", rule: "R2", breaks: "a deleted media is forgotten at once, and a late PUT leaves a stray",
			edits: []edit{{sweepSQL, "due_at = greatest($3, m.url_expires_at) + make_interval(secs => $4)", "due_at = $3 + make_interval(secs => 0*$4)"}},
			test:  suite{"./internal/sweep", "TestTombstones"},
		},
		{
			name: "tombstone-ends-with-url", rule: "R7", breaks: "a tombstone is not kept for an upload whose URL outlives the deletion",
			edits: []edit{{sweepSQL, "due_at = greatest($3, m.url_expires_at) +", "due_at = $3::timestamptz +"}},
			test:  suite{"./internal/sweep", "TestTombstones"},
		},
		{
			name: "purge-without-deletion", rule: "R2", breaks: "a tombstone is forgotten with the object that came late and unnoticed",
			edits: []edit{{deletions,
				"again, err := s.deleteBatch(ctx, r, leased, ms, func(ctx context.Context, gone []*media.Media) (int, error) {\n\t\tn, err := s.store.Purge",
				"again, err := func(_ time.Time, f func(context.Context, []*media.Media) (int, error)) (bool, error) {\n\t\t_, err := f(ctx, ms)\n\t\treturn false, err\n" +
					"\t}(leased, func(ctx context.Context, gone []*media.Media) (int, error) {\n\t\tn, err := s.store.Purge"}},
			test: suite{"./internal/sweep", "TestLatePutUnnoticed"},
		},
		{
			name: "purge-without-fence", rule: "R2", breaks: "a tombstone that had a late landing meanwhile is forgotten with its object",
			edits: []edit{{sweepSQL,
				"const purgeSQL = `\nWITH leased AS MATERIALIZED (` + stillLeased + `)\n" +
					"DELETE FROM coatcheck.media AS m USING leased WHERE m.id = leased.id AND m.state = 'deleted'`",
				"const purgeSQL = `\nWITH leased AS (SELECT unnest(?ids::uuid[]) AS id)\n" +
					"DELETE FROM coatcheck.media AS m USING leased WHERE m.id = leased.id`"}},
			test: suite{"./internal/postgres", "TestPurgeIsFenced"},
		},
		{
			name: "versions-left", rule: "R2", breaks: "on a versioned bucket a deletion only adds a delete marker",
			edits: []edit{
				{deleteFile, "\tif versioned {\n", "\tif versioned && false {\n"},
				{deleteFile, "errs); len(marked) > 0 {\n", "errs); len(marked) < 0 {\n"},
			},
			test: suite{"./internal/objectstore", "TestDeleteLeavesNoVersion"},
		},
		{
			name: "markers-left", rule: "R2", breaks: "on a versioned bucket a deletion leaves delete markers behind",
			edits: []edit{{"internal/objectstore/versions.go", "range out.DeleteMarkers {", "range out.DeleteMarkers[:0] {"}},
			test:  suite{"./internal/objectstore", "TestDeleteLeavesNoVersion"},
		},
		{
			name: "neighbours-deleted", rule: "R1", breaks: "with a media's versions those of every key that begins like its own go",
			edits: []edit{{"internal/objectstore/versions.go",
				"} else if k == key {\n\t\t\t\tall = append(all, keyVersion{name{key, aws.ToString(v.VersionId)},",
				"} else {\n\t\t\t\tall = append(all, keyVersion{name{k, aws.ToString(v.VersionId)},"}},
			test: suite{"./internal/objectstore", "TestDeleteLeavesNoVersion"},
		},
		{
			name: "any-bucket", rule: "R8", breaks: "a process that is set to the wrong bucket goes on, and deletes there",
			edits: []edit{{"internal/postgres/store.go", "if was.Bucket != bucket || was.KeyPrefix != prefix {", "if false {"}},
			test:  suite{"./internal/postgres", "TestBindBucket"},
		},
	}
}
