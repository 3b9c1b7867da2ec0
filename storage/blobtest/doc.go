// Package blobtest is what every store of blobs has to pass: a subtest for each promise
// of [blocks.Blobs].
package blobtest
