// Package s3 keeps blobs in a bucket of an S3 server: Amazon's, or one that speaks the
// same protocol.
//
// A blob is the object <prefix>sha256/ab/cd/<hash>. A file of more than a part is sent
// in parts, each with its MD5, which the server checks; an upload that breaks off leaves
// parts behind that nobody sees and that are removed after a day.
//
// # Decisions
//
// A file that is served is not looked for first: the answer to its first range says how
// large the object is, and one of another size than the file's is an error. Whoever wants a
// range gets no more, so that the connection stays; who reads on gets all the rest in one
// answer, of which the network holds as much ahead as it does, and this process nothing.
//
// What servers disagree about is not used: trailing checksums, ETags as MD5 of objects
// sent in parts, presigned addresses. Open tries out what is used and says what is wrong.
//
// An object is not compared with its hash when it is read: a player reads ranges. Whoever
// wants to know reads it whole (heapsync blobs verify).
package s3
