package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/storage/sqlite"
)

func checkCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read everything that is stored and say what is damaged; exits 1 if anything is",
		Long: `Read everything that is stored, compare it with its checksums and say what is
damaged. It changes nothing, and a server may be running.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAdmin(cmd.Context(), data, func(ctx context.Context, _ *auth.Service, store *sqlite.Store) error {
				out := cmd.OutOrStdout()
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
	return cmd
}
