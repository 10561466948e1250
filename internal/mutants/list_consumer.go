package main

// What becomes of a message.

func consumerMutants() []mutant {
	const (
		write = "internal/consumer/write.go"
		poll  = "internal/consumer/poll.go"
		ack   = "internal/consumer/ack.go"
		batch = "internal/queue/batch.go"
		quick = "internal/queue/answer.go"
	)
	return []mutant{
		{
			name: "deleted-before-commit", rule: "R4", breaks: "a message is deleted before its landings are committed",
			edits: []edit{
				{write, "\tfor failures := 1; ; failures++ {\n", "\tc.handled(slices.Clone(batch))\n\tfor failures := 1; ; failures++ {\n"},
				{write, "\t\t\tc.handled(batch)\n\t\t\treturn held\n", "\t\t\treturn held\n"},
			},
			test: suite{"./internal/consumer", "TestDeletesOnlyAfterCommit"},
		},
		{
			name: "failed-deletions-passed-over", rule: "R4", breaks: "what SQS says that it has not deleted is not read",
			edits: []edit{{quick, "seen.Once(2) && r.Array(func() bool { return false })", "seen.Once(2) && r.Skip(9)"}},
			test:  suite{"./internal/queue", "TestQuickAnswers"},
		},
		{
			name: "deleted-though-not-recorded", rule: "R4", breaks: "a message whose landings could not be recorded is deleted",
			edits: []edit{{write, "\t\tif err == nil {\n\t\t\tif len(rows)", "\t\tif err == nil || work.Err() == nil {\n\t\t\tif len(rows)"}},
			test:  suite{"./internal/consumer", "TestDeletesOnlyAfterCommit"},
		},
		{
			name: "deleted-though-not-understood", rule: "R4", breaks: "a message that nobody understood is deleted",
			edits: []edit{{poll, "\t\tcase it.unclear == nil:\n", "\t\tdefault:\n"}},
			test:  suite{"./internal/consumer", "TestNotUnderstoodGoesToTheDeadLetterQueue"},
		},
		{
			name: "deleted-though-half-understood", rule: "R4", breaks: "a message of which some records were understood is deleted with the others",
			edits: []edit{{write, "func(it *item) bool { return it.unclear != nil }", "func(*item) bool { return false }"}},
			test:  suite{"./internal/consumer", "TestPartlyUnderstood"},
		},
		{
			name: "refused-is-deleted", rule: "R4", breaks: "a message that the database refuses is deleted",
			edits: []edit{{write, "\t\tit := batch[0]\n\t\tc.beats.remove(batch)\n", "\t\tit := batch[0]\n\t\tc.acks <- batch\n"}},
			test:  suite{"./internal/consumer", "TestRefusedMessageDoesNotBlockOthers"},
		},
		{
			name: "other-buckets-land", rule: "R4", breaks: "a message about another bucket lands media of ours",
			edits: []edit{{"internal/consumer/triage.go", "if r.Bucket != bucket {", "if false {"}},
			test:  suite{"./internal/consumer", "TestNotUnderstoodGoesToTheDeadLetterQueue"},
		},
		{
			name: "failed-entries-ignored", rule: "R4", breaks: "a DeleteMessageBatch that is answered 200 counts for every message in it",
			edits: []edit{{batch, `return failed("deleting from SQS", receipts, done, out.Failed)`, "return nil"}},
			test:  suite{"./internal/queue", "TestDeleteTriesFailedEntriesAgain|TestDeleteMissesWhatIsNotAnswered"},
		},
		{
			name: "no-heartbeat", rule: "R10", breaks: "a message that takes long is given to others while it is worked on",
			edits: []edit{{"internal/consumer/consumer.go", "beats.Go(func() { c.beats.run(beat) })", "_ = beat"}},
			test:  suite{"./internal/consumer", "TestHeartbeatsOutliveTheVisibilityTimeout"},
		},
		{
			name: "stop-strands-messages", rule: "R10", breaks: "what a consumer that stops has not begun stays hidden",
			edits: []edit{{poll, "failures := c.queue.SetVisibility(c.giving, receipts, 0)", "var failures []Failure"}},
			test:  suite{"./internal/consumer", "TestStopFinishesAndGivesBack"},
		},
		{
			name: "outage-is-poison", rule: "R4", breaks: "an outage of the database sends good messages to the dead-letter queue",
			edits: []edit{{write, "if work.Err() == nil && !c.passing(err) {", "if work.Err() == nil {"}},
			test:  suite{"./internal/consumer", "TestOutageCostsNoReceives"},
		},
		{
			name: "deletions-stop-landings", rule: "R5", breaks: "messages that cannot be deleted stop all landings, instead of coming again",
			edits: []edit{{ack, "if attempt >= ackAttempts && othersSucceed || ", "if "}, {ack, "othersSucceed := now != before", "_ = before"}},
			test:  suite{"./internal/consumer", "TestStuckDeletionsHoldUpNobody"},
		},
		{
			name: "outage-of-deletions", rule: "R4", breaks: "while SQS deletes nothing, what was handled is given out until it is a dead letter",
			edits: []edit{{ack, "othersSucceed := now != before", "othersSucceed := now >= before"}},
			test:  suite{"./internal/consumer", "TestOutageOfDeletionsCostsNoReceives"},
		},
		{
			name: "stop-outlasts-its-limit", rule: "R10", breaks: "a consumer that stops gives messages back one call after the other, long after the drain limit",
			edits: []edit{{poll, "failures := c.queue.SetVisibility(c.giving, receipts, 0)",
				"ctx, cancel := context.WithTimeout(context.Background(), giveBackTimeout)\n\tdefer cancel()\n\tfailures := c.queue.SetVisibility(ctx, receipts, 0)"}},
			test: suite{"./internal/consumer", "TestStopWithoutAnAnswer"},
		},
		{
			name: "hung-heartbeat", rule: "R10", breaks: "one heartbeat that is not answered gives other messages to others while they are worked on",
			edits: []edit{{"internal/consumer/heartbeat.go", "context.WithTimeout(ctx, h.c.cfg.VisibilityTimeout/4)", "context.WithCancel(ctx)"}},
			test:  suite{"./internal/consumer", "TestHungHeartbeatShowsNoOthers"},
		},
		{
			name: "entry-answered-twice", rule: "R4", breaks: "a DeleteMessageBatch whose answer names one message twice counts for another that it does not name",
			edits: []edit{{batch, "\tvar failures []consumer.Failure\n\tfor i, r := range receipts {\n\t\tid := ",
				"\tif len(done) == len(receipts) && len(bad) == 0 {\n\t\treturn nil\n\t}\n\tvar failures []consumer.Failure\n\tfor i, r := range receipts {\n\t\tid := "}},
			test: suite{"./internal/queue", "TestDeleteMissesWhatIsNotAnswered"},
		},
		{
			name: "records-of-two", rule: "R4", breaks: "a message with two Records lands a record that is in neither, and is deleted",
			edits: []edit{{"internal/s3event/decode.go", "if o.seen {", "if false {"}},
			test:  suite{"./internal/s3event", "TestDecodeIsTheSameAtAnySize"},
		},
	}
}
