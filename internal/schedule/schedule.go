// Package schedule says when periodic work is done: at an interval, or at the times of a cron expression.
package schedule

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/adhocore/gronx"
)

// Schedule says when passes begin.
type Schedule interface {
	// Next returns the first time after t.
	Next(t time.Time) time.Time
}

// Check is an error when the schedule names no times.
func Check(s Schedule) error {
	if interval, ok := s.(Every); ok && interval <= 0 {
		return fmt.Errorf("interval is %v, must be positive", time.Duration(interval))
	}
	return nil
}

// First returns the time of a process's first pass after t.
func First(s Schedule, t time.Time) time.Time {
	if e, ok := s.(Every); ok {
		return t.Add(rand.N(max(1, min(time.Duration(e), time.Minute))))
	}
	return s.Next(t)
}

// Every makes a pass each time the interval has passed. The first comes after a random part of it, a minute at most,
// so that replicas that start together do not work together.
type Every time.Duration

// Next implements [Schedule].
func (e Every) Next(t time.Time) time.Time { return t.Add(time.Duration(e)) }

func (e Every) String() string { return "every " + time.Duration(e).String() }

// Cron makes passes at the times of a cron expression, in UTC: minute, hour, day of month, month and day of week, or
// one of @hourly, @daily, @weekly, @monthly, @yearly. It is an error when the expression is malformed or names no
// time that ever comes.
func Cron(expression string) (Schedule, error) {
	fields := strings.Fields(expression)
	macro := len(fields) == 1 && macros[strings.ToLower(fields[0])]
	// gronx would also read seconds and years, which makes an expression of six fields mean one or the other.
	if len(fields) != 5 && !macro {
		return nil, fmt.Errorf("cron expression %q: must have five fields (minute hour day month weekday), as in \"*/10 * * * *\", or be @hourly, @daily, @weekly, @monthly or @yearly", expression)
	}
	c := cron(strings.Join(fields, " "))
	if !gronx.IsValid(string(c)) {
		return nil, fmt.Errorf("cron expression %q: a field is malformed or out of range; the fields are minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-6", expression)
	}
	if _, err := c.next(time.Now()); err != nil {
		return nil, fmt.Errorf("cron expression %q: names no time that ever comes", expression)
	}
	return c, nil
}

var macros = map[string]bool{
	"@hourly": true, "@daily": true, "@weekly": true, "@monthly": true, "@yearly": true, "@annually": true,
}

type cron string

func (c cron) next(t time.Time) (time.Time, error) {
	return gronx.NextTickAfter(string(c), t.UTC(), false)
}

// Next implements [Schedule].
func (c cron) Next(t time.Time) time.Time {
	next, err := c.next(t)
	if err != nil || !next.After(t) {
		// Cron has seen that there are times, so this is not expected; a sweep too many does no harm.
		return t.Add(time.Hour)
	}
	return next
}

func (c cron) String() string { return "at " + string(c) + " UTC" }
