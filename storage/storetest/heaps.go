package storetest

import (
	"fmt"
	"slices"

	"github.com/heapsync/heapsync/blocks"
)

func testHeaps(b *bench) {
	ctx := b.Context()
	want := blocks.Heap{ID: "one", Name: "One ✓", Owner: "ada", Encrypted: true, CreatedAt: 10, UpdatedAt: 11}
	b.must(b.s.CreateHeap(ctx, want))
	got, err := b.s.Heap(ctx, "one")
	b.must(err)
	if got != want {
		b.Errorf("heap is %+v, want %+v", got, want)
	}
	b.wantErr(b.s.CreateHeap(ctx, blocks.Heap{ID: "one", Owner: "bob"}), blocks.ErrConflict, "heap created again")
	_, err = b.s.Heap(ctx, "two")
	b.wantErr(err, blocks.ErrNotFound, "heap")

	b.must(b.s.CreateHeap(ctx, blocks.Heap{ID: "two", Owner: "ada", CreatedAt: 20}))
	b.must(b.s.CreateHeap(ctx, blocks.Heap{ID: "three", Owner: "bob", CreatedAt: 15}))
	b.must(b.s.SetRole(ctx, "three", "ada", blocks.RoleViewer, 30))
	b.commit(b.next(key("two", "a"), "12345"), b.next(key("two", "b"), "678"), b.next(key("three", "a"), "x"))
	list, err := b.s.HeapsOf(ctx, "ada")
	b.must(err)
	var lines []string
	for _, h := range list {
		lines = append(lines, fmt.Sprint(h.ID, " ", h.Role, " ", h.Blocks, " ", h.Bytes))
	}
	if want := []string{"two owner 2 8", "three viewer 1 1", "one owner 0 0"}; !slices.Equal(lines, want) {
		b.Errorf("heaps are %q, want %q", lines, want)
	}

	ids, err := b.s.HeapsWithBlock(ctx, "ada", "a")
	b.must(err)
	slices.Sort(ids)
	if !slices.Equal(ids, []blocks.HeapID{"three", "two"}) {
		b.Errorf("heaps with block a for ada: %v", ids)
	}
	if ids, err = b.s.HeapsWithBlock(ctx, "bob", "a"); err != nil || !slices.Equal(ids, []blocks.HeapID{"three"}) {
		b.Errorf("heaps with block a for bob: %v, %v", ids, err)
	}
	if ids, err = b.s.HeapsWithBlock(ctx, "eve", "a"); err != nil || len(ids) != 0 {
		b.Errorf("heaps with block a for eve: %v, %v", ids, err)
	}
}

func testRoles(b *bench) {
	ctx := b.Context()
	b.must(b.s.CreateHeap(ctx, blocks.Heap{ID: "h", Owner: "ada", Encrypted: true, CreatedAt: 10}))
	wantRole := func(user blocks.UserID, heap blocks.HeapID, want blocks.Role, wantEncrypted bool) {
		b.Helper()
		role, encrypted, err := b.s.RoleOf(ctx, user, heap)
		if err != nil || role != want || encrypted != wantEncrypted {
			b.Errorf("role of %s in %s: %v, %v, %v, want %v, %v", user, heap, role, encrypted, err, want, wantEncrypted)
		}
	}
	wantRole("ada", "h", blocks.RoleOwner, true)
	wantRole("bob", "h", blocks.RoleNone, true)
	wantRole("ada", "nowhere", blocks.RoleNone, false)
	b.must(b.s.SetRole(ctx, "h", "bob", blocks.RoleViewer, 20))
	wantRole("bob", "h", blocks.RoleViewer, true)
	b.must(b.s.SetRole(ctx, "h", "bob", blocks.RoleEditor, 30))
	wantRole("bob", "h", blocks.RoleEditor, true)
	members, err := b.s.Members(ctx, "h")
	b.must(err)
	want := []blocks.Member{{User: "ada", Role: blocks.RoleOwner, Since: 10}, {User: "bob", Role: blocks.RoleEditor, Since: 20}}
	if !slices.Equal(members, want) {
		b.Errorf("members are %v, want %v", members, want)
	}
	b.must(b.s.SetRole(ctx, "h", "bob", blocks.RoleNone, 40))
	b.must(b.s.SetRole(ctx, "h", "eve", blocks.RoleNone, 40)) // never was one
	wantRole("bob", "h", blocks.RoleNone, true)
	if members, err = b.s.Members(ctx, "h"); err != nil || len(members) != 1 {
		b.Errorf("members are %v, %v", members, err)
	}
	if list, err := b.s.HeapsOf(ctx, "bob"); err != nil || len(list) != 0 {
		b.Errorf("heaps of who left: %v, %v", list, err)
	}
	b.wantErr(b.s.SetRole(ctx, "nowhere", "bob", blocks.RoleViewer, 1), blocks.ErrNotFound, "role in no heap")
}
