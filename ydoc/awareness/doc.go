// Package awareness keeps who is present in one document: for each client a state,
// JSON text that the client alone changes, and a clock that says which is newer.
//
// It does no I/O and starts no goroutine; time is passed in. A States belongs to one
// goroutine at a time. Nothing here is ever stored: a state that is not renewed
// within Timeout is gone. The rules are those of y-protocols (section 6.2).
//
// # Decisions
//
// A client unknown so far has clock 0, so the empty state that JavaScript clients
// send at clock 0 is not news to anyone; that is how the reference behaves.
//
// Clocks of clients that left are kept for Forget and no longer. Without them an old
// message could bring a client back; kept for ever they would be a leak, since ids
// are free to invent.
package awareness
