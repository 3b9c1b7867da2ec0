package ydoc

import "github.com/heapsync/heapsync/ydoc/lib0"

// columnsV2 reads the columns of a V2 update.
type columnsV2 struct {
	keyClock, leftClock, rightClock lib0.DiffColumnReader
	client, typeRef, length         lib0.UintColumnReader
	info, parentInfo                lib0.ByteColumnReader
	text                            lib0.TextColumnReader

	textAt int    // where the string column begins
	keys   []span // keys read so far, by their numbers

	scratchLimit int
}

// decoderV2 is a decoder with columns. d.r reads the rest.
type decoderV2 struct {
	*decoder
	columnsV2
}

func (d *decoder) updateV2(b []byte) error {
	d.r.Reset(b)
	v := decoderV2{decoder: d}
	v.scratchLimit = len(d.srcs[0]) + 4*len(b) + 64<<10
	if err := v.open(); err != nil {
		return err
	}
	clients, err := d.r.Count()
	if err != nil {
		return d.fail(err)
	}
	if clients > d.lim.Clients {
		return d.tooLarge("clients")
	}
	for range clients {
		if err := v.block(); err != nil {
			return err
		}
	}
	return d.deletes.read(&d.r, V2, uint64(d.lim.Clock), d.lim.Clients)
}

func (d *decoderV2) open() error {
	flag, err := d.r.VarUint()
	if err != nil {
		return d.fail(err)
	}
	if flag != 0 {
		return d.malformed("feature flag")
	}
	for i := range 9 {
		b, err := d.r.VarBytes()
		if err != nil {
			return d.fail(err)
		}
		switch i {
		case 0:
			d.keyClock.Reset(b)
		case 1:
			d.client.Reset(b)
		case 2:
			d.leftClock.Reset(b)
		case 3:
			d.rightClock.Reset(b)
		case 4:
			d.info.Reset(b)
		case 5:
			d.textAt = d.r.Offset() - len(b)
			d.text.Reset(b)
		case 6:
			d.parentInfo.Reset(b)
		case 7:
			d.typeRef.Reset(b)
		case 8:
			d.length.Reset(b)
		}
	}
	return nil
}

func (d *decoderV2) block() error {
	structs, err := d.r.VarUint()
	if err != nil {
		return d.fail(err)
	}
	if structs > uint64(d.lim.Structs-d.structs) {
		return d.tooLarge("structs")
	}
	d.structs += int(structs)
	c, err := d.client.Read()
	if err != nil {
		return d.fail(err)
	}
	clock, err := d.r.VarUint()
	if err != nil {
		return d.fail(err)
	}
	client := ClientID(c)
	d.begin(client, clock, int(structs), 4)
	for range structs {
		if clock, err = d.structure(client, clock); err != nil {
			return err
		}
	}
	d.end()
	return nil
}

// structure reads one struct and returns the clock after it.
func (d *decoderV2) structure(client ClientID, clock uint64) (uint64, error) {
	info, err := d.info.Read()
	if err != nil {
		return 0, d.fail(err)
	}
	switch info & kindMask {
	case kindGC, kindSkip:
		if info&^kindMask != 0 {
			return 0, d.malformed("flags on GC or Skip")
		}
		var length uint64
		if info == kindGC {
			length, err = d.length.Read()
		} else {
			length, err = d.r.VarUint()
		}
		if err != nil {
			return 0, d.fail(err)
		}
		end, err := d.charge(clock, length)
		if err == nil && info == kindGC {
			d.addGC(clock, length)
		}
		return end, err
	}
	n := node{clock: clock, info: info}
	if info&hasOrigin != 0 {
		if n.origin, err = d.id(&d.leftClock, client, clock); err != nil {
			return 0, err
		}
	}
	if info&hasRight != 0 {
		if n.right, err = d.id(&d.rightClock, client, clock); err != nil {
			return 0, err
		}
	}
	if info&(hasOrigin|hasRight) == 0 {
		if err := d.parent(&n, client, clock); err != nil {
			return 0, err
		}
	} else if info&hasSub != 0 {
		n.info &^= hasSub
		n.flags |= flagSub
	}
	d.r.ClearPadded()
	if err := d.content(&n); err != nil {
		return 0, err
	}
	if d.r.Padded() {
		d.repack(&n)
	}
	d.nodes = append(d.nodes, n)
	if n.length == 0 && n.kind() == kindString {
		return d.emptyText(client, clock)
	}
	return d.charge(clock, n.length)
}

func (d *decoderV2) id(clocks *lib0.DiffColumnReader, client ClientID, clock uint64) (ID, error) {
	c, err := d.client.Read()
	if err != nil {
		return ID{}, d.fail(err)
	}
	k, err := clocks.Read()
	if err != nil {
		return ID{}, d.fail(err)
	}
	id := ID{ClientID(c), Clock(k)}
	return id, d.checkID(id, client, clock)
}

func (d *decoderV2) parent(n *node, client ClientID, clock uint64) error {
	root, err := d.parentInfo.Read()
	if err != nil {
		return d.fail(err)
	}
	var p parent
	switch root {
	case 1:
		p.isRoot = true
		if p.root, err = d.string(); err != nil {
			return err
		}
	case 0:
		if p.id, err = d.id(&d.leftClock, client, clock); err != nil {
			return err
		}
	default:
		return d.malformed("kind of parent")
	}
	if n.info&hasSub != 0 {
		d.subs = true
		if p.sub, err = d.string(); err != nil {
			return err
		}
	}
	n.origin.Client = ClientID(len(d.parents))
	d.parents = append(d.parents, p)
	return nil
}

// units reads a string of the string column: where it is, and its length.
func (d *decoderV2) units() (at span, units uint64, wtf bool, err error) {
	off := d.textAt + d.text.Offset()
	from := len(d.srcs[0])
	s, units, wtf, err := d.text.Read(&d.srcs[0])
	if err != nil {
		return span{}, 0, false, d.fail(err)
	}
	if len(s) > d.lim.String {
		return span{}, 0, false, d.tooLarge("string")
	}
	if wtf {
		return d.scratch(from), units, true, nil
	}
	return span{d.src, uint32(off), uint32(len(s))}, units, false, nil
}

// string reads a string of the string column that is no content. Halves of a pair,
// which no other string may continue, become U+FFFD.
func (d *decoderV2) string() (span, error) {
	at, _, wtf, err := d.units()
	if err != nil || !wtf {
		return at, err
	}
	from := len(d.srcs[0])
	d.srcs[0] = lib0.AppendWellFormed(d.srcs[0], d.bytes(at))
	return d.scratch(from), nil
}

// key reads a key: by its number if it was read before, else also its string.
func (d *decoderV2) key() (span, error) {
	number, err := d.keyClock.Read()
	if err != nil {
		return span{}, d.fail(err)
	}
	if number < uint64(len(d.keys)) {
		return d.keys[number], nil
	}
	if number > uint64(len(d.keys)) {
		return span{}, d.malformed("key number")
	}
	at, err := d.string()
	if err == nil {
		d.keys = append(d.keys, at)
	}
	return at, err
}

// copyString appends the string at t to the scratch source as a varString.
// Keys by number may repeat a long string for next to no bytes, hence a limit.
func (d *decoderV2) copyString(t span) error {
	if len(d.srcs[0])+int(t.size) > d.scratchLimit {
		return d.tooLarge("repeated keys")
	}
	d.srcs[0] = lib0.AppendVarBytes(d.srcs[0], d.bytes(t))
	return nil
}

func (d *decoderV2) content(n *node) (err error) {
	switch n.kind() {
	case kindDeleted:
		if n.length, err = d.length.Read(); err != nil {
			return d.fail(err)
		}
		return nil
	case kindString:
		var wtf bool
		n.text, n.length, wtf, err = d.units()
		if wtf {
			n.flags |= flagWTF
		}
		return err
	case kindJSON:
		return d.json(n)
	case kindAny:
		count, err := d.length.Read()
		if err != nil {
			return d.fail(err)
		}
		return d.anyElements(n, count)
	}
	n.length = 1
	var from int
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
		n.flags |= flagAny
		n.text, err = d.value(true)
		return err
	case kindFormat:
		n.flags |= flagAny
		key, err := d.key()
		if err != nil {
			return err
		}
		value, err := d.value(true)
		if err != nil {
			return err
		}
		from = len(d.srcs[0])
		if err := d.copyString(key); err != nil {
			return err
		}
		d.srcs[0] = append(d.srcs[0], d.bytes(value)...)
	case kindType:
		ref, err := d.typeRef.Read()
		if err != nil {
			return d.fail(err)
		}
		if ref > maxTypeRef {
			return d.malformed("type ref")
		}
		named := ref == typeXMLElement || ref == typeXMLHook
		var name span
		if named {
			if name, err = d.key(); err != nil {
				return err
			}
		}
		from = len(d.srcs[0])
		d.srcs[0] = lib0.AppendVarUint(d.srcs[0], ref)
		if named {
			if err := d.copyString(name); err != nil {
				return err
			}
		}
		d.types = true
	case kindDoc:
		guid, err := d.string()
		if err != nil {
			return err
		}
		options, err := d.value(false)
		if err != nil {
			return err
		}
		if err := d.checkOptions(d.bytes(options)); err != nil {
			return err
		}
		from = len(d.srcs[0])
		if err := d.copyString(guid); err != nil {
			return err
		}
		d.srcs[0] = append(d.srcs[0], d.bytes(options)...)
	default:
		return d.malformed("content ref")
	}
	n.text = d.scratch(from)
	return nil
}

// value reads an any value of the rest; if json, one that has a JSON text.
func (d *decoderV2) value(json bool) (span, error) {
	start := d.r.Offset()
	d.budget.JSON = json && d.strict
	defer func() { d.budget.JSON = false }()
	if err := d.r.SkipAny(&d.budget); err != nil {
		return span{}, d.fail(err)
	}
	return d.view(start), nil
}

func (d *decoderV2) json(n *node) error {
	count, err := d.length.Read()
	if err != nil {
		return d.fail(err)
	}
	if count > uint64(max(d.budget.Elements, 0)) {
		return d.tooLarge("elements")
	}
	d.budget.Elements -= int(count)
	from := len(d.srcs[0])
	for range count {
		// Whatever string appends to the scratch source lands before copyString's
		// copy, so take the element out and put it at the end of what is collected.
		mark := len(d.srcs[0])
		at, err := d.string()
		if err != nil {
			return err
		}
		if err := d.checkJSONElement(d.bytes(at)); err != nil {
			return err
		}
		copied := lib0.AppendVarBytes(nil, d.bytes(at))
		d.srcs[0] = append(d.srcs[0][:mark], copied...)
	}
	n.length = count
	n.text = d.scratch(from)
	return nil
}
