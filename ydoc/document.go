package ydoc

// Options of a Doc. The zero value does what new Y.Doc() does.
type Options struct {
	// ClientID is that of edits made here. 0 draws one when the first is made.
	ClientID ClientID
	// KeepDeleted keeps the content of what is deleted, which At and Restore need.
	KeepDeleted bool
	// Limits are for Apply. The zero value is DefaultLimits.
	Limits Limits
	// MaxPending bounds the bytes of updates that wait for others. 0 is 16 MiB.
	MaxPending int
	// MaxDepth bounds how deep shared types are nested. 0 is 1000.
	MaxDepth int
}

// Doc is a Yjs document.
type Doc struct{}

// NewDoc returns an empty document.
func NewDoc(o Options) *Doc { panic("not yet") }

// ClientID returns the id of edits made here.
func (d *Doc) ClientID() ClientID { panic("not yet") }

// Apply applies an update from a stranger.
func (d *Doc) Apply(update []byte, f Format) error { panic("not yet") }

// ApplyUpdate applies an update that was decoded before.
func (d *Doc) ApplyUpdate(u *Update) error { panic("not yet") }

// Encode returns the whole state as one update.
func (d *Doc) Encode(f Format) []byte { panic("not yet") }

// EncodeDiff returns what since does not know as one update.
func (d *Doc) EncodeDiff(f Format, since StateVector) []byte { panic("not yet") }

// StateVector returns what the document knows.
func (d *Doc) StateVector() StateVector { panic("not yet") }

// Pending reports whether something waits for updates that have not come.
func (d *Doc) Pending() bool { panic("not yet") }

// Snapshot returns what exists and what is deleted.
func (d *Doc) Snapshot() Snapshot { panic("not yet") }

// At returns a new document as d was at s.
func (d *Doc) At(s Snapshot) (*Doc, error) { panic("not yet") }

// Restore makes the content of every root what it is in old, by edits.
func (d *Doc) Restore(old *Doc) *Transaction { panic("not yet") }

// Transaction is what was done to a document at once.
type Transaction struct{}

// Transact makes all edits in edit one transaction.
func (d *Doc) Transact(edit func()) *Transaction { panic("not yet") }

// OnUpdate calls f after every transaction that changed something.
func (d *Doc) OnUpdate(f func(*Transaction)) (stop func()) { panic("not yet") }

// Update returns the update of the transaction.
func (t *Transaction) Update(f Format) []byte { panic("not yet") }

// Empty reports whether nothing changed.
func (t *Transaction) Empty() bool { panic("not yet") }

// Local reports whether the edits were made here.
func (t *Transaction) Local() bool { panic("not yet") }

// Deletes returns what was deleted.
func (t *Transaction) Deletes() DeleteSet { panic("not yet") }

// Subdocs returns the subdocuments that came and went.
func (t *Transaction) Subdocs() (added, removed []Subdoc) { panic("not yet") }

// Position is a place in a type that stays where it is while others edit.
type Position struct {
	Item  ID     // if HasItem: the element it sticks to
	Type  ID     // else, if Root is not meant: the item that holds the type
	Root  string // if InRoot
	Assoc int    // below 0 it sticks to what is on its left

	HasItem, InRoot bool
}

// Position returns the place at index.
func (t Type) Position(index, assoc int) Position { panic("not yet") }

// DecodePosition reads the encoding of section 4.10.
func DecodePosition(b []byte) (Position, error) { panic("not yet") }

// Append appends the encoding of section 4.10.
func (p Position) Append(dst []byte) []byte { panic("not yet") }

// Resolve returns the type and index of p, and false if they are not known.
func (d *Doc) Resolve(p Position) (t Type, index int, ok bool) { panic("not yet") }
