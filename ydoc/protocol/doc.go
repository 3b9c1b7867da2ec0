// Package protocol reads and writes the messages in which Yjs clients sync: the
// sync and awareness messages of y-protocols, and the frames around them of
// y-websocket and of Hocuspocus.
//
// It does no I/O and keeps no state. What it returns are views into the message
// that was read. Everything from a peer is bounded by the message's own length.
package protocol
