package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// mutant is one way to break the code.
type mutant struct {
	name   string
	rule   string // the safety rule that it breaks, R1 to R10
	breaks string // what goes wrong then, in words
	edits  []edit
	test   suite // at least one of these must fail
}

// edit replaces a text that occurs exactly once in a file.
type edit struct {
	file     string // from the root of the repository
	old, new string
}

// suite is some tests of one package.
type suite struct {
	pkg string // such as "./internal/sweep"
	run string // names of tests, separated by "|"
}

func (s suite) String() string { return s.pkg + " -run " + s.run }

func mutants() []mutant {
	return slices.Concat(sweepMutants(), deletionMutants(), landingMutants(), claimMutants(), scopeMutants(), consumerMutants(), reconcileMutants())
}

var (
	rulePattern = regexp.MustCompile(`^R([1-9]|10)$`)
	runPattern  = regexp.MustCompile(`^Test\w+(\|Test\w+)*$`)
)

// check is an error when a mutant could not break anything, or two cannot be told apart.
func check(ms []mutant) error {
	seen := map[string]bool{}
	for _, m := range ms {
		switch {
		case m.name == "" || seen[m.name]:
			return fmt.Errorf("mutant %q: its name must be its own", m.name)
		case !rulePattern.MatchString(m.rule):
			return fmt.Errorf("mutant %s: rule %q is none of R1 to R10", m.name, m.rule)
		case len(m.edits) == 0 || m.breaks == "":
			return fmt.Errorf("mutant %s: must change something and say what goes wrong", m.name)
		case !runPattern.MatchString(m.test.run):
			return fmt.Errorf("mutant %s: tests %q must be names separated by \"|\"", m.name, m.test.run)
		}
		for _, e := range m.edits {
			if e.old == "" || e.old == e.new {
				return fmt.Errorf("mutant %s: its edit of %s changes nothing", m.name, e.file)
			}
		}
		seen[m.name] = true
	}
	return nil
}

// suites returns the tests that the mutants are held against, all of a package in one, in the order of the packages.
func suites(ms []mutant) []suite {
	byPkg := map[string]string{}
	for _, m := range ms {
		run, some := byPkg[m.test.pkg]
		if some {
			run += "|"
		}
		byPkg[m.test.pkg] = run + m.test.run
	}
	all := make([]suite, 0, len(byPkg))
	for pkg, run := range byPkg {
		all = append(all, suite{pkg, run})
	}
	slices.SortFunc(all, func(a, b suite) int { return strings.Compare(a.pkg, b.pkg) })
	return all
}
