package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/storage/sqlite"
)

func demoCommand() *cobra.Command {
	var url, data string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Make a key, log in, create a heap and edit a block from two live clients",
		Long: `Make a key, log in, create a heap and edit one block from two live clients,
against a server that runs already. On a server where accounts need approval the
demo approves itself, for which it needs the server's data folder.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 30*time.Second)
			defer cancel()
			return runDemo(ctx, cmd.OutOrStdout(), url, data)
		},
	}
	addURLFlag(cmd, &url)
	addDataFlag(cmd, &data)
	return cmd
}

func runDemo(ctx context.Context, w io.Writer, url, data string) error {
	device, err := newDemoDevice(url)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "1. made a key          %s\n", device.publicKey)
	token, err := device.login(ctx)
	if errors.Is(err, errPending) {
		if err = approveDemo(ctx, data, device.publicKey); err != nil {
			return fmt.Errorf("the demo's account waits for approval: %w", err)
		}
		fmt.Fprintf(w, "   approved it         as heapsync admin approve would\n")
		token, err = device.login(ctx)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "2. logged in           signed the server's challenge, no password\n")
	heap := "demo-" + uuid.NewString()[:8]
	if err := device.call(ctx, "/api/heap/add", token, map[string]any{"id": heap, "name": "Demo"}, nil); err != nil {
		return err
	}
	fmt.Fprintf(w, "3. created a heap      %s\n", heap)

	const block = "hello"
	ada, err := openDemoClient(ctx, url, token, heap, block)
	if err != nil {
		return err
	}
	defer ada.close()
	bob, err := openDemoClient(ctx, url, token, heap, block)
	if err != nil {
		return err
	}
	defer bob.close()
	fmt.Fprintf(w, "4. opened a block      %s/%s, on two live clients\n", heap, block)
	words := []string{"Notes ", "that ", "work ", "offline, ", "on ", "every ", "device, ", "on ", "a ", "box ", "you ", "own."}
	for i, word := range words {
		typist, name := ada, "ada"
		if i%2 == 1 {
			typist, name = bob, "bob"
		}
		took, err := typist.typeWord(ctx, word)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "   %s types %-11q on the server's disk after %.1f ms\n", name, word, took.Seconds()*1000)
		if err := converge(ctx, ada, bob); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "5. both converged      ada reads %q\n                       bob reads %q\n", ada.text(), bob.text())
	fmt.Fprintf(w, "\n%d edits, %d acknowledged as durable. Kill the server with -9 and start it again:\n"+
		"they are still there.\n", len(words), ada.acknowledged()+bob.acknowledged())
	return nil
}

// approveDemo lets the demo's account in, as an operator would.
func approveDemo(ctx context.Context, data, publicKey string) error {
	return withAdmin(ctx, data, func(ctx context.Context, a *auth.Service, _ *sqlite.Store) error {
		acc, err := findAccount(ctx, a, publicKey)
		if err != nil {
			return err
		}
		_, err = a.Approve(ctx, auth.Actor{}, acc.ID)
		return err
	})
}

// converge waits until both clients hold the same.
func converge(ctx context.Context, a, b *demoClient) error {
	for {
		changed := b.changed()
		if string(a.state()) == string(b.state()) {
			return nil
		}
		select {
		case <-changed:
		case <-a.changed():
		case <-ctx.Done():
			return errors.New("the two clients did not converge")
		}
	}
}
