package ydoc

// Snapshot returns what exists in the document and what is deleted.
func (d *Doc) Snapshot() Snapshot {
	return Snapshot{Deletes: d.deletes(), StateVector: d.StateVector()}
}
