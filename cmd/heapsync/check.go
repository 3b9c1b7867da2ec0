package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/sqlite"
)

func checkCommand() *cobra.Command {
	var data string
	var rebuild bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read everything that is stored and say what is damaged; exits 1 if anything is",
		Long: `Read everything that is stored, compare it with its checksums and say what is
damaged. It changes nothing, and a server may be running.

With --rebuild what is derived from the log is made anew before, also of blocks that
are quarantined; what the log does not come to stays as it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAdmin(cmd.Context(), data, func(ctx context.Context, _ *auth.Service, store *sqlite.Store) error {
				out := cmd.OutOrStdout()
				if rebuild {
					if err := rebuildSnapshots(ctx, out, store); err != nil {
						return err
					}
					if err := dropIndex(out, data); err != nil {
						return err
					}
				}
				sum, err := store.Check(ctx, func(p sqlite.Problem) { fmt.Fprintln(out, p) })
				if err != nil {
					return err
				}
				fmt.Fprintf(out, "%d blocks, %d updates (%d bytes), %d windows, %d snapshots, %d held: %d problems\n",
					sum.Blocks, sum.Updates, sum.Bytes, sum.Windows, sum.Snapshots, sum.Held, sum.Problems)
				if sum.Problems > 0 {
					return errSilent
				}
				return nil
			})
		},
	}
	addDataFlag(cmd, &data)
	cmd.Flags().BoolVar(&rebuild, "rebuild", false, "make snapshots and the index anew from the log")
	return cmd
}

// dropIndex removes what lists and search know. The server reads it out of the documents
// again when it starts; one that runs is not disturbed.
func dropIndex(out io.Writer, data string) error {
	err := sqlite.DropIndex(filepath.Join(data, indexName))
	if errors.Is(err, sqlite.ErrLocked) {
		fmt.Fprintln(out, "index: a server is using it; stop it to have it made anew")
		return nil
	}
	if err == nil {
		fmt.Fprintln(out, "index: dropped; the server makes it anew when it starts")
	}
	return err
}

func rebuildSnapshots(ctx context.Context, out io.Writer, store *sqlite.Store) error {
	log := blocks.NewLog(blocks.LogConfig{Store: store})
	n, err := log.RebuildSnapshots(ctx, func(key blocks.BlockKey, err error) {
		fmt.Fprintf(out, "snapshots: %s: not rebuilt: %v\n", key, err)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d snapshots rebuilt\n", n)
	return nil
}
