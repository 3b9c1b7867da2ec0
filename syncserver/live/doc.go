// Package live serves websockets: many blocks over one socket in the Hocuspocus
// protocol, one block a socket in the y-websocket protocol, and JSON events.
//
// A conn is one socket: a reading goroutine, and a queue of frames bounded in
// bytes. A few goroutines, which run only while there is something to write, write
// what the sockets take at once; a conn whose socket takes no more gets a goroutine of
// its own until that has changed. A room is the
// subs (one conn's view of one block) that have a block open, and who is present
// in it: a mutex and a list. What is committed comes from blocks.Log in commit
// order; a frame is encoded once for all who get it. An update is acknowledged
// when it is on disk, and not before.
//
// A reader that is too slow for its queue has its queued updates dropped and, once
// it reads again, gets one update with all it missed.
//
// Lock order: room.mu before conn.mu before flusher.mu. Server.mu is never held with
// any of them.
//
// # Decisions
//
// The frames are written by this package, not by the websocket library: one call
// for all that is queued, of bytes that all receivers share. The library reads and
// does the handshake.
//
// An update that could not be stored for the time being is not answered at all.
// As soon as it works again the server asks the client for what it lacks (sync
// step 1), and acknowledges what it left open.
package live
