package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/heapsync/heapsync/blocks"
)

// matchOf returns the FTS5 expression of q within scopes. Words are folded, so there is
// nothing in them but letters, digits and what is not ASCII, and they are quoted besides.
func matchOf(scopes []int64, q blocks.Query, columns string) string {
	var b strings.Builder
	b.WriteString("scope : (")
	for i, id := range scopes {
		if i > 0 {
			b.WriteString(" OR ")
		}
		fmt.Fprintf(&b, `"s%d"`, id)
	}
	b.WriteString(")")
	if len(q.Terms) > 0 {
		b.WriteString(" AND {" + columns + "} : (")
		writeTerms(&b, q.Terms, " AND ")
		b.WriteString(")")
	}
	if len(q.Without) == 0 {
		return b.String()
	}
	all := b.String()
	b.Reset()
	b.WriteString("(" + all + ") NOT {title body} : (")
	writeTerms(&b, q.Without, " OR ")
	b.WriteString(")")
	return b.String()
}

func writeTerms(b *strings.Builder, terms []blocks.Term, between string) {
	for i, t := range terms {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(`"` + strings.ReplaceAll(strings.Join(t.Words, " "), `"`, `""`) + `"`)
		if t.Prefix {
			b.WriteString(" *")
		}
	}
}

// indexedPrefix is how many characters the longest beginnings of words have that the
// schema has an index of. To look for longer ones every word with it is gone through.
const indexedPrefix = 6

// exact returns q with its long beginnings taken for whole words, and false if it has none.
func exact(q blocks.Query) (blocks.Query, bool) {
	for i, t := range q.Terms {
		if t.Prefix && utf8.RuneCountInString(t.Words[len(t.Words)-1]) > indexedPrefix {
			q.Terms = slices.Clone(q.Terms)
			q.Terms[i].Prefix = false
			return q, true
		}
	}
	return q, false
}

// Search implements [blocks.Index]. A long last word that is in enough blocks is not
// taken for the beginning of others, which would take longer the more there are.
func (x *Index) Search(ctx context.Context, filters []blocks.Filter, q blocks.Query, inTitle bool, limit int) (list []blocks.Candidate, err error) {
	columns := "title body"
	if inTitle {
		columns = "title"
	}
	err = x.read(ctx, func(r *connTx) error {
		var scopes []int64
		for _, f := range filters {
			id, count, err := scopeOf(ctx, r, f)
			if err != nil {
				return err
			}
			if count > 0 {
				scopes = append(scopes, id)
			}
		}
		if len(scopes) == 0 {
			return nil
		}
		if whole, ok := exact(q); ok {
			list, err = candidates(ctx, r, matchOf(scopes, whole, columns), limit)
			if err != nil || len(list) == limit {
				return err
			}
		}
		list, err = candidates(ctx, r, matchOf(scopes, q, columns), limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return list, nil
}

func candidates(ctx context.Context, r *connTx, match string, limit int) ([]blocks.Candidate, error) {
	rows, err := r.QueryContext(ctx, `WITH found AS MATERIALIZED (
			SELECT rowid AS id FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?
		) SELECT b.id, texts.words, texts.sample
		FROM found CROSS JOIN texts ON texts.id = found.id CROSS JOIN blocks b INDEXED BY blocks_text ON b.text = found.id
		ORDER BY found.id DESC`, match, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []blocks.Candidate
	for rows.Next() {
		var c blocks.Candidate
		if err := rows.Scan(&c.ID, &c.Words, &c.Sample); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// CountMatches implements [blocks.Index].
func (x *Index) CountMatches(ctx context.Context, f blocks.Filter, q blocks.Query, limit int) (n int64, err error) {
	err = x.read(ctx, func(r *connTx) error {
		id, count, err := scopeOf(ctx, r, f)
		if err != nil || count == 0 {
			return err
		}
		return r.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT rowid FROM words WHERE words MATCH ? LIMIT ?)`,
			matchOf([]int64{id}, q, "title body"), limit).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count matches: %w", err)
	}
	return n, nil
}

// Text implements [blocks.Index].
func (x *Index) Text(ctx context.Context, id int64) (text string, err error) {
	err = x.read(ctx, func(r *connTx) error {
		err := r.QueryRowContext(ctx, `SELECT texts.body FROM blocks b JOIN texts ON texts.id = b.text WHERE b.id = ?`, id).Scan(&text)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("text of a block: %w", err)
	}
	return text, nil
}
