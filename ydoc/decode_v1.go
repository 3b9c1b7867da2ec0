package ydoc

import (
	"slices"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// minBlockV1 is the bytes of the smallest client block: its head and a GC struct.
const minBlockV1 = 5

func (d *decoder) updateV1(b []byte) error {
	d.r.Reset(b)
	clients, err := d.r.Count()
	if err != nil {
		return d.fail(err)
	}
	if clients > d.lim.Clients {
		return d.tooLarge("clients")
	}
	if n := min(clients, d.r.Len()/minBlockV1); n > 1 {
		d.blocks = slices.Grow(d.blocks, n)
		d.nodes = slices.Grow(d.nodes, n)
	}
	for range clients {
		if err := d.blockV1(); err != nil {
			return err
		}
	}
	return d.deletes.read(&d.r, V1, uint64(d.lim.Clock), d.lim.Clients)
}

func (d *decoder) blockV1() error {
	structs, err := d.r.Count()
	if err != nil {
		return d.fail(err)
	}
	if d.structs += structs; d.structs > d.lim.Structs {
		return d.tooLarge("structs")
	}
	c, err := d.r.VarUint()
	if err != nil {
		return d.fail(err)
	}
	clock, err := d.r.VarUint()
	if err != nil {
		return d.fail(err)
	}
	client := ClientID(c)
	d.begin(client, clock, structs, 4)
	for range structs {
		if clock, err = d.structV1(client, clock); err != nil {
			return err
		}
	}
	d.end()
	return nil
}

// structV1 reads one struct and returns the clock after it.
func (d *decoder) structV1(client ClientID, clock uint64) (uint64, error) {
	info, err := d.r.Byte()
	if err != nil {
		return 0, d.fail(err)
	}
	switch info & kindMask {
	case kindGC, kindSkip:
		if info&^kindMask != 0 {
			return 0, d.malformed("flags on GC or Skip")
		}
		length, err := d.r.VarUint()
		if err != nil {
			return 0, d.fail(err)
		}
		end, err := d.charge(clock, length)
		if err == nil && info == kindGC {
			d.addGC(clock, length)
		}
		return end, err
	}
	d.nodes = append(d.nodes, node{})
	n := &d.nodes[len(d.nodes)-1]
	n.clock, n.info = clock, info
	if info&hasOrigin != 0 {
		if n.origin, err = d.idV1(client, clock); err != nil {
			return 0, err
		}
	}
	if info&hasRight != 0 {
		if n.right, err = d.idV1(client, clock); err != nil {
			return 0, err
		}
	}
	if info&(hasOrigin|hasRight) == 0 {
		if err := d.parentV1(n, client, clock); err != nil {
			return 0, err
		}
	} else if info&hasSub != 0 {
		n.info &^= hasSub
		n.flags |= flagSub
	}
	d.r.ClearPadded()
	if err := d.contentV1(n); err != nil {
		return 0, err
	}
	if d.r.Padded() {
		d.repack(n)
	}
	if n.length == 0 && n.kind() == kindString {
		return d.emptyText(client, clock)
	}
	return d.charge(clock, n.length)
}

func (d *decoder) idV1(client ClientID, clock uint64) (ID, error) {
	c, k, err := d.r.VarUints()
	if err != nil {
		return ID{}, d.fail(err)
	}
	id := ID{ClientID(c), Clock(k)}
	return id, d.checkID(id, client, clock)
}

func (d *decoder) parentV1(n *node, client ClientID, clock uint64) error {
	root, err := d.r.VarUint()
	if err != nil {
		return d.fail(err)
	}
	var p parent
	switch root {
	case 1:
		p.isRoot = true
		if p.root, err = d.stringV1(); err != nil {
			return err
		}
	case 0:
		if p.id, err = d.idV1(client, clock); err != nil {
			return err
		}
	default:
		return d.malformed("kind of parent")
	}
	if n.info&hasSub != 0 {
		d.subs = true
		if p.sub, err = d.stringV1(); err != nil {
			return err
		}
	}
	n.origin.Client = ClientID(len(d.parents))
	d.parents = append(d.parents, p)
	return nil
}

// textV1 reads a string within the limit.
func (d *decoder) textV1() ([]byte, error) {
	b, err := d.r.VarText()
	if err != nil {
		return nil, d.fail(err)
	}
	if len(b) > d.lim.String {
		return nil, d.tooLarge("string")
	}
	return b, nil
}

// stringV1 reads a string within the limit and returns where its text is.
func (d *decoder) stringV1() (span, error) {
	b, err := d.textV1()
	return d.view(d.r.Offset() - len(b)), err
}

func (d *decoder) contentV1(n *node) (err error) {
	start := d.r.Offset()
	switch n.kind() {
	case kindDeleted:
		if n.length, err = d.r.VarUint(); err != nil {
			return d.fail(err)
		}
		return nil
	case kindString:
		b, err := d.r.VarBytes()
		if err != nil {
			return d.fail(err)
		}
		if len(b) > d.lim.String {
			return d.tooLarge("string")
		}
		units, ok := lib0.ValidUnits(b)
		if !ok {
			return d.fail(lib0.ErrUTF8)
		}
		n.length = uint64(units)
		n.text = d.view(d.r.Offset() - len(b))
		return nil
	case kindJSON:
		return d.jsonV1(n)
	case kindAny:
		return d.anys(n)
	}
	n.length = 1
	switch n.kind() {
	case kindBinary:
		b, err := d.r.VarBytes()
		if err != nil {
			return d.fail(err)
		}
		if len(b) > d.lim.String {
			return d.tooLarge("binary")
		}
		n.text = d.view(d.r.Offset() - len(b))
		return nil
	case kindEmbed:
		b, err := d.textV1()
		if err != nil {
			return err
		}
		n.text = d.view(d.r.Offset() - len(b))
		return d.checkJSON(b)
	case kindFormat:
		if _, err := d.textV1(); err != nil {
			return err
		}
		b, err := d.textV1()
		if err != nil {
			return err
		}
		if err := d.checkJSON(b); err != nil {
			return err
		}
	case kindType:
		ref, err := d.r.VarUint()
		if err != nil {
			return d.fail(err)
		}
		if ref > maxTypeRef {
			return d.malformed("type ref")
		}
		if ref == typeXMLElement || ref == typeXMLHook {
			if _, err := d.textV1(); err != nil {
				return err
			}
		}
		d.types = true
	case kindDoc:
		if _, err := d.textV1(); err != nil {
			return err
		}
		options := d.r.Offset()
		if err := d.r.SkipAny(&d.budget); err != nil {
			return d.fail(err)
		}
		if err := d.checkOptions(d.r.Since(options)); err != nil {
			return err
		}
	default:
		return d.malformed("content ref")
	}
	n.text = d.view(start)
	return nil
}

func (d *decoder) jsonV1(n *node) error {
	count, err := d.r.Count()
	if err != nil {
		return d.fail(err)
	}
	if d.budget.Elements -= count; d.budget.Elements < 0 {
		return d.tooLarge("elements")
	}
	start := d.r.Offset()
	for range count {
		b, err := d.textV1()
		if err != nil {
			return err
		}
		if err := d.checkJSONElement(b); err != nil {
			return err
		}
	}
	n.length = uint64(count)
	n.text = d.view(start)
	return nil
}

// anys reads a count and so many any values; in both formats they are in one piece.
func (d *decoder) anys(n *node) error {
	count, err := d.r.Count()
	if err != nil {
		return d.fail(err)
	}
	return d.anyElements(n, uint64(count))
}

func (d *decoder) anyElements(n *node, count uint64) error {
	start := d.r.Offset()
	for range count {
		if err := d.r.SkipAny(&d.budget); err != nil {
			return d.fail(err)
		}
	}
	n.length = count
	n.text = d.view(start)
	return nil
}
