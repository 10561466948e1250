// Package pgtest gives every test a database of its own on a real Postgres.
//
// A package that uses it has one line of set-up, which starts nothing by itself:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// The first test that asks for a database starts a server for the whole package, or uses the one that the environment
// variable COATCHECK_TEST_DATABASE_URL names; its user has to be a superuser. [New] clones a template in which every
// migration was applied, so a test pays for a copy and not for the migrations. Tests with databases of their own can
// all be parallel.
package pgtest
