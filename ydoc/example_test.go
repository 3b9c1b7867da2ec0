package ydoc_test

import (
	"fmt"
	"log"

	"github.com/heapsync/heapsync/ydoc"
)

// Two clients edit without having heard of each other; merging needs no document.
func ExampleMergeUpdates() {
	ada := ydoc.NewDoc(ydoc.Options{ClientID: 1})
	ada.Text("page").Insert(0, "Hello")
	bob := ydoc.NewDoc(ydoc.Options{ClientID: 2})
	bob.Text("page").Insert(0, " world")

	merged, err := ydoc.MergeUpdates(ydoc.V1, ada.Encode(ydoc.V1), bob.Encode(ydoc.V1))
	if err != nil {
		log.Fatal(err)
	}
	doc := ydoc.NewDoc(ydoc.Options{})
	if err := doc.Apply(merged, ydoc.V1); err != nil {
		log.Fatal(err)
	}
	fmt.Println(doc.Text("page"))
	// Output: Hello world
}

// Loading a document and reading it, without being told what is in it.
func ExampleDoc_Apply() {
	source := ydoc.NewDoc(ydoc.Options{ClientID: 1})
	source.Map("meta").Set("title", "Notes")
	source.Array("tags").Append("work", 2026)
	source.Text("body").Insert(0, "First line\n")
	stored := source.Encode(ydoc.V2)

	doc := ydoc.NewDoc(ydoc.Options{})
	if err := doc.Apply(stored, ydoc.V2); err != nil {
		log.Fatal(err) // bytes from a stranger: nothing was changed
	}
	title, _ := doc.Map("meta").Value("title")
	fmt.Println(title)
	for i, tag := range doc.Array("tags").All() {
		fmt.Println(i, tag)
	}
	fmt.Printf("%q\n", doc.Text("body").String())
	// Output:
	// Notes
	// 0 work
	// 1 2026
	// "First line\n"
}

// An edit of several types is one transaction, and its update goes to the others.
func ExampleDoc_Transact() {
	doc := ydoc.NewDoc(ydoc.Options{ClientID: 1})
	edit := doc.Transact(func() {
		text := doc.Text("body")
		text.Insert(0, "read me")
		text.Format(0, 4, ydoc.Object{{Key: "bold", Value: true}})
		doc.Map("meta").Set("done", false)
	})
	update := edit.Update(ydoc.V1) // valid until the next transaction

	other := ydoc.NewDoc(ydoc.Options{})
	if err := other.Apply(update, ydoc.V1); err != nil {
		log.Fatal(err)
	}
	for _, op := range other.Text("body").Delta() {
		fmt.Printf("%q %v\n", op.Insert, op.Attributes)
	}
	// Output:
	// "read" [{bold true}]
	// " me" []
}

// What a client that was away lacks.
func ExampleDoc_EncodeDiff() {
	server := ydoc.NewDoc(ydoc.Options{ClientID: 1})
	server.Text("body").Insert(0, "one ")
	client := ydoc.NewDoc(ydoc.Options{ClientID: 2})
	if err := client.Apply(server.Encode(ydoc.V1), ydoc.V1); err != nil {
		log.Fatal(err)
	}
	server.Text("body").Insert(4, "two")

	diff := server.EncodeDiff(ydoc.V1, client.StateVector())
	if err := client.Apply(diff, ydoc.V1); err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Text("body"))
	// Output: one two
}

// Observers hear of every change, whoever made it.
func ExampleType_Observe() {
	doc := ydoc.NewDoc(ydoc.Options{ClientID: 1})
	list := doc.Array("list")
	stop := list.Observe(func(e *ydoc.Event) {
		for _, op := range e.Delta() {
			fmt.Println("retain", op.Retain, "delete", op.Delete, "insert", op.Insert)
		}
	})
	list.Append("a", "b")
	list.Delete(0, 1)
	stop()
	list.Append("unheard")
	// Output:
	// retain 0 delete 0 insert [a b]
	// retain 0 delete 1 insert <nil>
}

// Going back to an older version is an edit: everybody gets it as an update.
func ExampleDoc_Restore() {
	doc := ydoc.NewDoc(ydoc.Options{ClientID: 1, KeepDeleted: true})
	body := doc.Text("body")
	body.Insert(0, "A good version.")
	version := doc.Snapshot()
	body.Delete(0, 6)
	body.Insert(0, "No")

	old, err := doc.At(version)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(body, "→", old.Text("body"))
	edit := doc.Restore(old)
	fmt.Println(body, edit.Empty())
	// Output:
	// No version. → A good version.
	// A good version. false
}
