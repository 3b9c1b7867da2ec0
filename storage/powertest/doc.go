// Package powertest cuts the power of a program that writes to disk: it records what a
// real run asks of the file system, and makes the files as they may be found after a
// power cut at any moment of it.
//
// What was not synced is there, missing, or there in part, in sectors of 512 bytes. A
// name is as volatile as its folder, whichever file it is of, and the names of one folder
// settle in order, as in a journal. That is what POSIX promises, and less than most file
// systems do.
//
// A run that maps files into memory to write them cannot be recorded, but for those that
// end in -shm, which a database makes anew.
package powertest
