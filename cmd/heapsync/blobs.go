package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

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
	cmd.AddCommand(withConfig(&cobra.Command{
		Use:   "orphans",
		Short: "List bytes that no file has, files that have no bytes, and what uploads have left; exits 1 if bytes are missing",
		Long: `Compare the bytes that are there with what files refer to, without reading them: which
bytes no file refers to (those that were dropped are deleted in a while), which are
missing or have another size, and what is left of uploads that nobody knows. It changes
nothing, and a server may be running: what it uploads at that moment may be listed.`,
	}, func(cmd *cobra.Command, cfg *config) error {
		return withAdmin(cmd.Context(), cfg.Data, func(ctx context.Context, _ *auth.Service, store *sqlite.Store) error {
			files, done, err := openBlobs(ctx, cfg, true)
			if err != nil {
				return err
			}
			defer done()
			out := cmd.OutOrStdout()
			sum, err := blocks.FindOrphans(ctx, store, files, func(hash blocks.Hash, what string) {
				fmt.Fprintf(out, "%s: %s\n", hash, what)
			})
			if err != nil {
				return err
			}
			stale, err := staleUploads(ctx, store, filepath.Join(cfg.Data, uploadsName), func(name string) {
				fmt.Fprintf(out, "%s: of no upload\n", filepath.Join(uploadsName, name))
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%d blobs (%d bytes): %d (%d bytes) that no file refers to, %d missing, %d of another size; %d files of no upload\n",
				sum.Blobs, sum.Bytes, sum.Unreferenced, sum.UnreferencedBytes, sum.Missing, sum.Damaged, stale)
			if sum.Damaged+sum.Missing > 0 {
				return errSilent
			}
			return nil
		})
	}))
	return cmd
}

// staleUploads counts the files in the folder of uploads that are of none.
func staleUploads(ctx context.Context, store blocks.Uploads, dir string, report func(name string)) (n int, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, e := range entries {
		there := false
		if id, bad := strconv.ParseInt(e.Name(), 10, 64); bad == nil {
			if there, err = store.UploadExists(ctx, id); err != nil {
				return n, err
			}
		}
		if !there {
			n++
			report(e.Name())
		}
	}
	return n, err
}
