package media

import "time"

// Record is a media with what is known of it elsewhere, for operators.
type Record struct {
	*Media
	// MissingSince is when a reconciliation first missed its object; zero when it is not missed.
	MissingSince time.Time
}

// Notified reports whether S3's notification of the landing has arrived, as far as can be told: of what was learnt in
// another way it is known by its sequencer, which some stores do not send.
func (m *Media) Notified() bool { return m.LandedBy == SourceNotification || m.Sequencer != "" }
