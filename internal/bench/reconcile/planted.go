package main

const (
	// Of so many objects one has no row, and another one's notification was lost; and there is one row without object.
	every   = 10_000
	strayAt = 1
	lostAt  = 3
)

// population is what is planted: so many objects, with the numbers from 0.
type population int

// lost tells that the row is PENDING though its object has landed.
func lost(i int) bool { return i%every == lostAt }

// strays is how many objects have no row.
func (n population) strays() int { return n.at(strayAt) }

func (n population) lost() int { return n.at(lostAt) }

// missing is how many rows have no object; they have the numbers from n.
func (n population) missing() int { return (int(n) + every - 1) / every }

func (n population) rows() int { return int(n) - n.strays() + n.missing() }

func (n population) at(offset int) int { return (int(n) + every - 1 - offset) / every }
