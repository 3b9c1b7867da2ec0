// Package storetest holds the tests that every store has to pass: one subtest for
// each promise that an interface's comment makes. It also has a store that fails
// when it is told to.
package storetest
