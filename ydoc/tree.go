package ydoc

// fanout is how many items or nodes a node of a tree has at most.
const fanout = 32

// forest holds the trees of those lists in which something was looked up by index.
type forest struct {
	trees  []tree
	felled []uint32 // trees that are not in use
	leaf   []uint32 // item → the node that has it, in the tree of its list
}

// tree is a B+ tree over the items of a list, with the number of elements that are
// visible under each node.
type tree struct {
	f     *forest
	nodes []treeNode
	root  uint32
	free  uint32 // nodes not in use, linked by parent
	idle  int    // items that were put into it since something was looked up
}

type treeNode struct {
	parent uint32
	n      uint16
	isLeaf bool
	child  [fanout]uint32 // nodes, or items in a leaf
	size   [fanout]uint32
}

// treeOf returns the tree of a chain that is a list, nil if it has none.
func (d *Doc) treeOf(chain uint32) *tree {
	if d.forest == nil {
		return nil
	}
	c := &d.chains[chain]
	if !c.isList() {
		return nil
	}
	at := d.branches[c.branch].tree
	if at == none {
		return nil
	}
	return &d.forest.trees[at]
}

// plant makes the tree of b's list.
func (d *Doc) plant(b uint32) *tree {
	if d.forest == nil {
		d.forest = new(forest)
	}
	f := d.forest
	at := uint32(len(f.trees))
	if n := len(f.felled); n > 0 {
		at = f.felled[n-1]
		f.felled = f.felled[:n-1]
	} else {
		f.trees = append(f.trees, tree{})
	}
	d.branches[b].tree = at
	t := &f.trees[at]
	*t = tree{f: f, free: none}
	t.root = t.newNode(none, true)
	left := none
	for i := d.head(b); i != none; i = d.items[i].next {
		t.insertAfter(left, i, d.items[i].shown())
		left = i
	}
	return t
}

// fell gives up the tree of b's list, if it has one.
func (d *Doc) fell(b uint32) {
	at := d.branches[b].tree
	if at == none {
		return
	}
	d.forest.trees[at] = tree{}
	d.forest.felled = append(d.forest.felled, at)
	d.branches[b].tree = none
}

// grown puts item i into the tree of chain, if it has one, behind left. A tree that grows
// by about a fifth while nobody looks anything up is felled: planting it anew takes less
// than to keep it.
func (d *Doc) grown(chain, left, i, shown uint32) {
	t := d.treeOf(chain)
	if t == nil {
		return
	}
	if t.idle++; t.idle > 4*len(t.nodes) {
		d.fell(d.chains[chain].branch)
		return
	}
	t.insertAfter(left, i, shown)
}

func (t *tree) newNode(parent uint32, leaf bool) uint32 {
	i := t.free
	if i != none {
		t.free = t.nodes[i].parent
		t.nodes[i] = treeNode{parent: parent, isLeaf: leaf}
		return i
	}
	t.nodes = append(t.nodes, treeNode{parent: parent, isLeaf: leaf})
	return uint32(len(t.nodes) - 1)
}

// slot returns where child is in node.
func (n *treeNode) slot(child uint32) int {
	for k := range n.child[:n.n] {
		if n.child[k] == child {
			return k
		}
	}
	panic("ydoc: a child is not in its node")
}

func (n *treeNode) total() uint32 {
	sum := uint32(0)
	for _, s := range n.size[:n.n] {
		sum += s
	}
	return sum
}

// find returns the item that holds visible element index, and where in it; none if
// there are not so many.
func (t *tree) find(index uint32) (i, offset uint32) {
	t.idle = 0
	at := t.root
	for {
		n := &t.nodes[at]
		k := 0
		for k < int(n.n) && index >= n.size[k] {
			index -= n.size[k]
			k++
		}
		if k == int(n.n) {
			return none, 0
		}
		if n.isLeaf {
			return n.child[k], index
		}
		at = n.child[k]
	}
}

// index returns the number of visible elements before item i.
func (t *tree) index(i uint32) uint32 {
	t.idle = 0
	sum := uint32(0)
	child, at := i, t.f.leaf[i]
	for at != none {
		n := &t.nodes[at]
		for k := range n.child[:n.n] {
			if n.child[k] == child {
				break
			}
			sum += n.size[k]
		}
		child, at = at, n.parent
	}
	return sum
}

// resize says how many elements of item i are visible.
func (t *tree) resize(i, shown uint32) {
	at := t.f.leaf[i]
	n := &t.nodes[at]
	k := n.slot(i)
	by := shown - n.size[k]
	if by == 0 {
		return
	}
	n.size[k] = shown
	t.grow(at, by)
}

// grow adds by to the sizes above node at; less than zero wraps.
func (t *tree) grow(at, by uint32) {
	for p := t.nodes[at].parent; p != none; at, p = p, t.nodes[p].parent {
		n := &t.nodes[p]
		n.size[n.slot(at)] += by
	}
}

// insertAfter puts item i behind left, or in front of all if left is none.
func (t *tree) insertAfter(left, i, shown uint32) {
	for uint32(len(t.f.leaf)) <= max(i, left+1) {
		t.f.leaf = append(t.f.leaf, none)
	}
	if left == none {
		at := t.root
		for !t.nodes[at].isLeaf {
			at = t.nodes[at].child[0]
		}
		t.insert(at, 0, i, shown)
		return
	}
	at := t.f.leaf[left]
	t.insert(at, t.nodes[at].slot(left)+1, i, shown)
}

// insert puts a child into node at, in front of slot k.
func (t *tree) insert(at uint32, k int, child, size uint32) {
	if t.nodes[at].n == fanout {
		at, k = t.divide(at, k)
	}
	n := &t.nodes[at]
	copy(n.child[k+1:n.n+1], n.child[k:n.n])
	copy(n.size[k+1:n.n+1], n.size[k:n.n])
	n.child[k], n.size[k] = child, size
	n.n++
	t.adopt(at, child)
	if size > 0 {
		t.grow(at, size)
	}
}

func (t *tree) adopt(at, child uint32) {
	if t.nodes[at].isLeaf {
		t.f.leaf[child] = at
	} else {
		t.nodes[child].parent = at
	}
}

// divide makes two nodes of the full node at, and returns the place of slot k. Where
// things are added at the end nodes stay full.
func (t *tree) divide(at uint32, k int) (uint32, int) {
	parent := t.nodes[at].parent
	if parent == none {
		parent = t.newNode(none, false)
		p := &t.nodes[parent]
		p.child[0], p.size[0], p.n = at, t.nodes[at].total(), 1
		t.nodes[at].parent = parent
		t.root = parent
	}
	half := fanout / 2
	if k == fanout {
		half = fanout
	}
	j := t.newNode(parent, t.nodes[at].isLeaf)
	n, m := &t.nodes[at], &t.nodes[j]
	m.n = uint16(copy(m.child[:], n.child[half:]))
	copy(m.size[:], n.size[half:])
	n.n = uint16(half)
	moved := m.total()
	for _, child := range m.child[:m.n] {
		t.adopt(j, child)
	}
	p := &t.nodes[parent]
	slot := p.slot(at)
	t.grow(at, -moved)
	t.insert(parent, slot+1, j, 0)
	if moved > 0 {
		q := &t.nodes[t.nodes[j].parent]
		q.size[q.slot(j)] = moved
		t.grow(t.nodes[j].parent, moved)
	}
	if k >= half {
		return j, k - half
	}
	return at, k
}

// remove takes item i out.
func (t *tree) remove(i uint32) {
	t.resize(i, 0)
	child, at := i, t.f.leaf[i]
	t.f.leaf[i] = none
	for {
		n := &t.nodes[at]
		k := n.slot(child)
		copy(n.child[k:], n.child[k+1:n.n])
		copy(n.size[k:], n.size[k+1:n.n])
		n.n--
		if n.n > 0 || at == t.root {
			break
		}
		child, at = at, n.parent
		t.nodes[child].parent = t.free
		t.free = child
	}
	if r := &t.nodes[t.root]; r.n == 0 {
		r.isLeaf = true
	}
}
