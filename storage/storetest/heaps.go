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

	b.must(b.s.RenameHeap(ctx, "one", "Uno", 12))
	want.Name, want.UpdatedAt = "Uno", 12
	if got, err = b.s.Heap(ctx, "one"); err != nil || got != want {
		b.Errorf("renamed heap is %+v, %v, want %+v", got, err, want)
	}
	b.wantErr(b.s.RenameHeap(ctx, "two", "Dos", 12), blocks.ErrNotFound, "rename of no heap")

	b.must(b.s.CreateHeap(ctx, blocks.Heap{ID: "two", Owner: "ada", CreatedAt: 20}))
	b.must(b.s.CreateHeap(ctx, blocks.Heap{ID: "three", Owner: "bob", CreatedAt: 15}))
	b.must(b.s.SetRole(ctx, "three", "ada", blocks.RoleViewer, 30))
	b.commit(b.next(key("two", "a"), "12345"), b.next(key("two", "b"), "678"), b.next(key("three", "a"), "x"))
	list, err := b.s.HeapsOf(ctx, "ada")
	b.must(err)
	var lines []string
	for _, h := range list {
		lines = append(lines, fmt.Sprint(h.ID, " ", h.Role))
	}
	if want := []string{"two owner", "three viewer", "one owner"}; !slices.Equal(lines, want) {
		b.Errorf("heaps are %q, want %q", lines, want)
	}

	if all, err := b.s.AllHeaps(ctx); err != nil || !slices.Equal(all, []blocks.HeapID{"one", "two", "three"}) {
		b.Errorf("all heaps: %v, %v", all, err)
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

func testTransfer(b *bench) {
	ctx := b.Context()
	b.must(b.s.CreateHeap(ctx, blocks.Heap{ID: "h", Owner: "ada", CreatedAt: 10}))
	b.must(b.s.SetRole(ctx, "h", "bob", blocks.RoleViewer, 20))
	b.wantErr(b.s.Transfer(ctx, "h", "bob", "ada"), blocks.ErrConflict, "transfer by who is not the owner")
	b.wantErr(b.s.Transfer(ctx, "h", "ada", "eve"), blocks.ErrNotFound, "transfer to who is no member")
	b.wantErr(b.s.Transfer(ctx, "nowhere", "ada", "bob"), blocks.ErrNotFound, "transfer of no heap")
	b.must(b.s.Transfer(ctx, "h", "ada", "bob"))
	h, err := b.s.Heap(ctx, "h")
	b.must(err)
	members, err := b.s.Members(ctx, "h")
	b.must(err)
	want := []blocks.Member{{User: "ada", Role: blocks.RoleEditor, Since: 10}, {User: "bob", Role: blocks.RoleOwner, Since: 20}}
	if h.Owner != "bob" || !slices.Equal(members, want) {
		b.Errorf("owner %s, members %v, want bob, %v", h.Owner, members, want)
	}
}

func testInvites(b *bench) {
	ctx := b.Context()
	b.must(b.s.CreateHeap(ctx, blocks.Heap{ID: "h", Owner: "ada", CreatedAt: 10}))
	invite := func(id string, inv blocks.Invite, max int) error {
		inv.ID, inv.Heap, inv.By = id, "h", "ada"
		return b.s.CreateInvite(ctx, inv, blocks.InviteCode{id[0]}, max)
	}
	b.must(invite("anybody", blocks.Invite{Role: blocks.RoleViewer, CreatedAt: 10, ExpiresAt: 100}, 3))
	b.must(invite("one of them", blocks.Invite{Role: blocks.RoleEditor, CreatedAt: 20, ExpiresAt: 200, MaxUses: 1}, 3))
	b.must(invite("key's", blocks.Invite{Role: blocks.RoleCommenter, CreatedAt: 30, ExpiresAt: 300, PublicKey: "key"}, 3))
	b.wantErr(invite("too many", blocks.Invite{Role: blocks.RoleViewer, CreatedAt: 40, ExpiresAt: 100}, 3), blocks.ErrTooLarge, "a fourth")
	b.wantErr(b.s.CreateInvite(ctx, blocks.Invite{ID: "x", Heap: "nowhere"}, blocks.InviteCode{9}, 3), blocks.ErrNotFound, "to no heap")

	ids := func(now int64, want ...string) {
		b.Helper()
		list, err := b.s.Invites(ctx, "h", now)
		b.must(err)
		var got []string
		for _, i := range list {
			got = append(got, i.ID)
		}
		if !slices.Equal(got, want) {
			b.Errorf("at %d: %q, want %q", now, got, want)
		}
	}
	ids(50, "key's", "one of them", "anybody")
	accept := func(code byte, user blocks.UserID, key string, at int64, want blocks.Role, wantErr error) {
		b.Helper()
		heap, role, err := b.s.AcceptInvite(ctx, blocks.InviteCode{code}, user, key, at)
		if wantErr != nil {
			b.wantErr(err, wantErr, "accept by "+string(user))
		} else if err != nil || heap != "h" || role != want {
			b.Errorf("accept by %s: %s, %v, %v, want %v", user, heap, role, err, want)
		}
	}
	accept('z', "bob", "", 50, 0, blocks.ErrNotFound)
	accept('a', "bob", "", 50, blocks.RoleViewer, nil)
	accept('a', "bob", "", 51, blocks.RoleViewer, nil)
	accept('o', "bob", "", 52, blocks.RoleEditor, nil)
	accept('o', "eve", "", 53, 0, blocks.ErrExpired)
	accept('o', "bob", "", 54, blocks.RoleEditor, nil) // once more, and it is no use
	accept('a', "bob", "", 55, blocks.RoleEditor, nil) // keeps what is higher
	accept('a', "ada", "", 55, blocks.RoleOwner, nil)
	accept('k', "eve", "another", 60, 0, blocks.ErrNotFound)
	accept('k', "eve", "key", 60, blocks.RoleCommenter, nil)
	accept('a', "dan", "", 100, 0, blocks.ErrExpired)
	ids(99, "key's", "anybody")
	ids(100, "key's")
	if list, err := b.s.Invites(ctx, "h", 60); err != nil || len(list) != 2 || list[0] != (blocks.Invite{ID: "key's", Heap: "h",
		Role: blocks.RoleCommenter, PublicKey: "key", By: "ada", CreatedAt: 30, ExpiresAt: 300, Uses: 1}) || list[1].Uses != 1 {
		b.Errorf("%+v, %v", list, err)
	}
	b.must(invite("fourth", blocks.Invite{Role: blocks.RoleViewer, CreatedAt: 100, ExpiresAt: 400}, 3)) // the old ones make room
	b.must(b.s.DeleteInvite(ctx, "h", "fourth"))
	b.wantErr(b.s.DeleteInvite(ctx, "h", "fourth"), blocks.ErrNotFound, "taken back twice")
	b.wantErr(b.s.DeleteInvite(ctx, "other", "key's"), blocks.ErrNotFound, "of another heap")
	accept('f', "dan", "", 110, 0, blocks.ErrNotFound)
}
