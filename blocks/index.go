package blocks

import "context"

// Entry is what lists know of a block: what its document says of itself, and its head.
type Entry struct {
	ID  int64 // the index's own: in a list it tells those apart that sort alike
	Key BlockKey
	Seq Seq // of the head that it was read at

	Type      string // never empty
	Title     string
	Parent    BlockID // "": none
	Snippet   string  // how its text begins
	Apps      []byte  // JSON, nil if there are none
	File      []byte  // JSON, nil if it has none
	FileBytes int64   // of the file, as the document says
	CreatedAt int64
	TrashedAt int64 // 0: not in the trash

	SyncVersion int64
	Size        int64 // bytes of its log
	Updates     int64 // of its log
	UpdatedAt   int64

	// Unread says why the document could not be read at Seq: what it says of itself is
	// as it was last read, or unknown.
	Unread string

	// Children is how many blocks that are not in the trash name this one as their parent.
	// It is counted when it is read.
	Children int64
}

// Relation is one of a block's relations to others of its heap.
type Relation struct {
	ID     string
	Kind   string
	Target BlockID
}

// Projection is all that is indexed of a block.
type Projection struct {
	Entry
	Text      string // that search finds, without the title
	Relations []Relation
}

// DayUpdates is how many updates a heap took in one day, from midnight UTC on.
type DayUpdates struct {
	Heap    HeapID
	Day     int64 // since 1970-01-01
	Updates int64
}

// Progress is how much of the log an index holds.
type Progress struct {
	Through Seq // every block is indexed as it was at this seq, or later
	Counted Seq // the updates of days are counted up to here
}

// IndexBatch is one transaction on an index.
type IndexBatch struct {
	Projections []Projection // in the order they were read; a block once
	Removed     []BlockKey   // blocks that are deleted for good
	Days        []DayUpdates // to be added
	Progress    Progress     // after it; never lower than it was
}

// Filter says which blocks of a heap are meant.
type Filter struct {
	Heap    HeapID
	Type    string   // "": any
	Parent  *BlockID // nil: any; "": those without
	Trashed bool     // those in the trash, else those that are not
}

// SortKey is what a list is sorted by.
type SortKey string

// What lists can be sorted by.
const (
	ByUpdated SortKey = "updated_at"
	ByCreated SortKey = "created_at"
	ByTitle   SortKey = "title" // as Fold makes it, its first characters
	BySize    SortKey = "size"
)

// Place is where in a list an entry stands: its sort value, a string for ByTitle and
// else an int64, and then its ID.
type Place struct {
	Value any
	ID    int64
}

// Listing asks for entries in an order.
type Listing struct {
	Filter
	By         SortKey
	Descending bool
	After      *Place // nil: from the beginning
	Skip       int    // how many to leave out at the beginning, in place of After
	Limit      int
}

// Counts is how many blocks there are. ByType adds up to Total, unless there are more than
// MaxTypes types: then it has the most frequent ones.
type Counts struct {
	Total   int64
	Trashed int64 // that the filter would give if it asked for the trash
	ByType  map[string]int64
}

// MaxTypes is how many types of blocks are counted one by one.
const MaxTypes = 1000

// Totals sums up a heap's blocks, those in the trash included.
type Totals struct {
	Blocks       int64
	Bytes        int64 // of logs
	Updates      int64
	Files        int64
	FileBytes    int64
	LastChangeAt int64
}

// Candidate is an entry that a search found.
type Candidate struct {
	ID     int64
	Words  int64  // of its text
	Sample string // the words of its title, a line feed, and those its text begins with
}

// Index keeps what was read out of documents, for lists, counts and search. All of it is
// derived: losing it costs the time to read the documents again. It is safe for
// concurrent use. An unknown heap or block is none, and no error. A fault of what is
// stored is ErrCorrupt: Reset helps.
type Index interface {
	IndexWriter
	IndexLists

	// Search returns the IDs of at most limit blocks that meet one of filters and match q,
	// those whose text changed last first; if inTitle, only those with all of q's words in
	// the title.
	Search(ctx context.Context, filters []Filter, q Query, inTitle bool, limit int) ([]Candidate, error)
	// CountMatches counts the blocks that meet f and match q, but no more than limit.
	CountMatches(ctx context.Context, f Filter, q Query, limit int) (int64, error)
	// Entries returns those of ids that there still are, in no order.
	Entries(ctx context.Context, ids []int64) ([]Entry, error)
	// Text returns the text of a block as it was projected.
	Text(ctx context.Context, id int64) (string, error)
}

// IndexWriter fills an index. One goroutine calls it.
type IndexWriter interface {
	// Progress says where to go on.
	Progress(ctx context.Context) (Progress, error)
	// Seqs returns at which head those of a heap's blocks were read that are indexed.
	Seqs(ctx context.Context, heap HeapID, of []BlockID) (map[BlockID]Seq, error)
	// Heaps lists the heaps that have entries.
	Heaps(ctx context.Context) ([]HeapID, error)
	// Project stores all of b or nothing. A projection that is older than what is there
	// changes nothing. Of one that is Unread only the head counts if the block is there.
	Project(ctx context.Context, b *IndexBatch) error
	// Forget removes a heap.
	Forget(ctx context.Context, heap HeapID) error
	// Reset makes the index empty, whatever state it is in.
	Reset(ctx context.Context) error
}

// IndexLists answers what lists ask. What it costs does not grow with the heap.
type IndexLists interface {
	// List returns at most Limit entries, and none if Skip is all there are.
	List(ctx context.Context, l Listing) ([]Entry, error)
	// Count counts what a filter meets.
	Count(ctx context.Context, f Filter) (Counts, error)
	// Entry returns a block's entry, and false if it has none.
	Entry(ctx context.Context, key BlockKey) (Entry, bool, error)
	// Titles returns the titles of those of a heap's blocks that are indexed.
	Titles(ctx context.Context, heap HeapID, of []BlockID) (map[BlockID]string, error)
	// Backlinks returns the relations that point at a block, with the blocks that have
	// them: at most limit, the newest blocks first.
	Backlinks(ctx context.Context, key BlockKey, limit int) ([]Backlink, error)
	// Totals sums up each heap that has entries.
	Totals(ctx context.Context, heaps []HeapID) (map[HeapID]Totals, error)
	// Days returns the days from day on in which a heap took updates, in order.
	Days(ctx context.Context, heap HeapID, from int64) ([]DayUpdates, error)
}

// Backlink is a relation of another block to this one.
type Backlink struct {
	From  BlockID
	Title string // of From
	Relation
}
