package ydoc

// observers are the functions to be called after transactions.
type observers struct {
	types  int
	update []func(*Transaction)
}

// changes are the types that a transaction changed.
type changes struct {
	at map[uint32]int
}

func (d *Doc) noteChange(chain uint32) {}
func (d *Doc) tell(t *Transaction)     {}
func (d *Doc) tellUpdate(t *Transaction) {
	for _, f := range d.observers.update {
		f(t)
	}
}

// OnUpdate calls f after every transaction that changed something.
func (d *Doc) OnUpdate(f func(*Transaction)) (stop func()) {
	if d.observers == nil {
		d.observers = new(observers)
	}
	d.observers.update = append(d.observers.update, f)
	return func() {}
}
