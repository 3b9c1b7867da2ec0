package ydoc

// ConvertUpdate returns update, which must have been accepted before, in format to:
// the same structs, clients descending, deletions merged.
func ConvertUpdate(update []byte, from, to Format) ([]byte, error) {
	m := mergers.Get().(*Merger)
	defer m.free()
	if err := m.Add(update, from); err != nil {
		return nil, err
	}
	return m.Update().Append(nil, to), nil
}
