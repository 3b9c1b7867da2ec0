package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/sqlite"
)

func blobsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "blobs", Short: "Look after the bytes of files"}
	cmd.AddCommand(withConfig(&cobra.Command{
		Use:   "verify",
		Short: "Read all files and compare them with their hashes; exits 1 if any is damaged or missing",
		Long: `Read the bytes of all files, compare them with their hashes, and say which are
damaged or missing. It changes nothing, and a server may be running. It takes the
settings that the server has, to find them.`,
	}, func(cmd *cobra.Command, cfg *config) error {
		return withAdmin(cmd.Context(), cfg.Data, func(ctx context.Context, _ *auth.Service, store *sqlite.Store) error {
			files, done, err := openBlobs(ctx, cfg, true)
			if err != nil {
				return err
			}
			defer done()
			out := cmd.OutOrStdout()
			sum, err := blocks.VerifyBlobs(ctx, store, files, func(hash blocks.Hash, what string) {
				fmt.Fprintf(out, "%s: %s\n", hash, what)
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%d blobs (%d bytes): %d damaged, %d missing, %d that no file refers to\n",
				sum.Blobs, sum.Bytes, sum.Damaged, sum.Missing, sum.Unreferenced)
			if sum.Damaged+sum.Missing > 0 {
				return errSilent
			}
			return nil
		})
	}))
	return cmd
}
