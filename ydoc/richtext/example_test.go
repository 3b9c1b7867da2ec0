package richtext_test

import (
	"fmt"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/richtext"
)

func Example() {
	doc := ydoc.NewDoc(ydoc.Options{})
	page := doc.XML("default") // where Tiptap keeps its document
	page.InsertElement(0, "heading").InsertText(0).Insert(0, "To do")
	list := page.InsertElement(1, "taskList")
	task := list.InsertElement(0, "taskItem")
	task.SetAttribute("checked", true)
	text := task.InsertElement(0, "paragraph").InsertText(0)
	text.Insert(0, "read ")
	text.InsertWith(5, "the manual", ydoc.Object{{Key: "bold", Value: ydoc.Object{}}})

	fmt.Print(richtext.Markdown(page.Type))
	fmt.Println(richtext.HTML(page.Type))
	fmt.Print(richtext.Text(page.Type))
	// Output:
	// # To do
	//
	// - [x] read **the manual**
	// <h1>To do</h1><ul><li><input type="checkbox" disabled checked> read <strong>the manual</strong></li></ul>
	// To do
	// read the manual
}
