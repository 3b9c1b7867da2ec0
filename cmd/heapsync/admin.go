package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/sqlite"
	"github.com/heapsync/heapsync/syncserver"
)

// adminCommand works on the database itself, also while a server runs: it notices
// within a second.
func adminCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "Approve and block accounts, say who is in a heap, bring deleted heaps back",
		Long:  "Manage a server's accounts and heaps from its own machine. A running server notices at once.",
	}
	cmd.PersistentFlags().StringVar(&data, "data", dataDefault(), dataUsage)
	account := func(use, short string, do func(context.Context, *auth.Service, auth.Account) (auth.Account, error)) *cobra.Command {
		return &cobra.Command{
			Use: use + " KEY", Short: short, Args: cobra.ExactArgs(1),
			Long: short + ". KEY is a public key, or the account's id.",
			RunE: func(cmd *cobra.Command, args []string) error {
				return withAdmin(cmd.Context(), data, func(ctx context.Context, a *auth.Service, _ *sqlite.Store) error {
					acc, err := findAccount(ctx, a, args[0])
					if err == nil {
						acc, err = do(ctx, a, acc)
					}
					if err != nil {
						return err
					}
					return printAccount(cmd, acc)
				})
			},
		}
	}
	cmd.AddCommand(
		usersCommand(&data),
		account("approve", "Let an account in", func(ctx context.Context, a *auth.Service, acc auth.Account) (auth.Account, error) {
			return a.Approve(ctx, auth.Actor{}, acc.ID)
		}),
		account("block", "Lock an account out; its devices are disconnected", func(ctx context.Context, a *auth.Service, acc auth.Account) (auth.Account, error) {
			return a.Block(ctx, auth.Actor{}, acc.ID)
		}),
		account("demote", "Make an administrator an ordinary account", func(ctx context.Context, a *auth.Service, acc auth.Account) (auth.Account, error) {
			return a.Demote(ctx, auth.Actor{}, acc.ID)
		}),
		grantCommand(&data),
		memberCommand(&data),
		deletedHeapsCommand(&data),
		undeleteCommand(&data),
		scanRootsCommand(&data),
	)
	return cmd
}

const dataUsage = "the server's data folder"

func dataDefault() string {
	if dir := os.Getenv("HEAPSYNC_DATA"); dir != "" {
		return dir
	}
	return "./heapsync-data"
}

// addDataFlag adds --data, which stands where serve keeps its data.
func addDataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", dataDefault(), dataUsage)
}

func usersCommand(data *string) *cobra.Command {
	return &cobra.Command{
		Use: "users", Short: "List all accounts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAdmin(cmd.Context(), *data, func(ctx context.Context, a *auth.Service, _ *sqlite.Store) error {
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "PUBLIC KEY\tSTATUS\tADMIN\tCREATED\tEMAIL\tID")
				var after auth.AccountID
				for {
					page, err := a.Accounts(ctx, after, 500)
					if err != nil {
						return err
					}
					if len(page) == 0 {
						return w.Flush()
					}
					for _, acc := range page {
						fmt.Fprintf(w, "%s\t%s\t%t\t%s\t%s\t%s\n", acc.PublicKey, acc.Status, acc.Admin,
							acc.CreatedAt.Format("2006-01-02"), acc.Email, acc.ID)
						after = acc.ID
					}
				}
			})
		},
	}
}

func grantCommand(data *string) *cobra.Command {
	return &cobra.Command{
		Use: "grant KEY", Short: "Make the account of a public key an administrator", Args: cobra.ExactArgs(1),
		Long: "Make the account of a public key an administrator. The key need not have logged in before.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd.Context(), *data, func(ctx context.Context, a *auth.Service, _ *sqlite.Store) error {
				acc, err := a.Grant(ctx, auth.Actor{}, args[0])
				if err != nil {
					return err
				}
				return printAccount(cmd, acc)
			})
		},
	}
}

func memberCommand(data *string) *cobra.Command {
	return &cobra.Command{
		Use: "member HEAP KEY ROLE", Short: "Give an account a role in a heap: editor, commenter, viewer or none",
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd.Context(), *data, func(ctx context.Context, a *auth.Service, store *sqlite.Store) error {
				heap, err := blocks.ParseHeapID(args[0])
				if err != nil {
					return err
				}
				acc, err := findAccount(ctx, a, args[1])
				if err != nil {
					return err
				}
				role := blocks.RoleNone
				if args[2] != blocks.RoleNone.String() {
					if role, err = blocks.ParseRole(args[2]); err != nil {
						return err
					}
				}
				in := blocks.New(blocks.LogConfig{Store: store})
				if err := in.SetRole(ctx, heap, blocks.UserID(acc.ID), role); err != nil {
					return fmt.Errorf("heap %s: %w", heap, err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is %s in %s\n", acc.PublicKey, role, heap)
				return err
			})
		},
	}
}

// withAdmin opens the database beside a server that may be running.
func withAdmin(ctx context.Context, data string, do func(context.Context, *auth.Service, *sqlite.Store) error) (err error) {
	path := filepath.Join(data, databaseName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no server's data in %s; name its folder with --data", data)
	}
	store, err := sqlite.Open(ctx, sqlite.Config{Path: path, Shared: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	keys, err := auth.OpenKeys(data)
	if err != nil {
		return err
	}
	a, err := auth.New(auth.Config{Store: store, Keys: keys, PublicURL: "http://localhost"})
	if err != nil {
		return err
	}
	return do(ctx, a, store)
}

// findAccount takes a public key or an account's id.
func findAccount(ctx context.Context, a *auth.Service, name string) (auth.Account, error) {
	var acc auth.Account
	key, err := auth.ParsePublicKey(name)
	if err == nil {
		acc, err = a.AccountByKey(ctx, key)
	} else {
		acc, err = a.Account(ctx, auth.AccountID(name))
	}
	if errors.Is(err, auth.ErrNotFound) {
		return acc, fmt.Errorf("there is no account %s; heapsync admin users lists them", name)
	}
	return acc, err
}

func printAccount(cmd *cobra.Command, acc auth.Account) error {
	admin := ""
	if acc.Admin {
		admin = ", administrator"
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is %s%s\n", acc.PublicKey, acc.Status, admin)
	return err
}

func deletedHeapsCommand(data *string) *cobra.Command {
	return &cobra.Command{
		Use: "deleted-heaps", Short: "List the deleted heaps that can be brought back", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAdmin(cmd.Context(), *data, func(ctx context.Context, _ *auth.Service, store *sqlite.Store) error {
				heaps, err := blocks.New(blocks.LogConfig{Store: store}).DeletedHeaps(ctx)
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "HEAP\tNAME\tOWNER\tDELETED\tGONE FOR GOOD")
				for _, h := range heaps {
					fmt.Fprintf(w, "%s\t%q\t%s\t%s\t%s\n", h.ID, h.Name, h.Owner, minuteOf(h.DeletedAt), minuteOf(h.PurgeAt))
				}
				return w.Flush()
			})
		},
	}
}

func minuteOf(ms int64) string { return time.UnixMilli(ms).Format("2006-01-02 15:04") }

func undeleteCommand(data *string) *cobra.Command {
	return &cobra.Command{
		Use: "undelete HEAP", Short: "Bring a deleted heap back", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd.Context(), *data, func(ctx context.Context, _ *auth.Service, store *sqlite.Store) error {
				heap, err := blocks.ParseHeapID(args[0])
				if err != nil {
					return err
				}
				if err := blocks.New(blocks.LogConfig{Store: store}).UndeleteHeap(ctx, heap); err != nil {
					return fmt.Errorf("heap %s: %w", heap, err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is back\n", heap)
				return err
			})
		},
	}
}

func scanRootsCommand(data *string) *cobra.Command {
	var none bool
	cmd := &cobra.Command{
		Use: "scan-roots [FOLDER...]", Short: "List the folders that may be scanned, or set them",
		Long: `List the folders of this machine whose files administrators may take into their
heaps where they lie, or allow those that are named and no others. Folders that
the server was given as --scan-root are not among them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd.Context(), *data, func(ctx context.Context, a *auth.Service, _ *sqlite.Store) error {
				if none && len(args) > 0 {
					return errors.New("--none leaves no folder to be named")
				}
				if none || len(args) > 0 {
					if err := syncserver.SetScanRoots(ctx, a, auth.Actor{}, args); err != nil {
						return err
					}
				}
				roots, err := syncserver.ScanRoots(ctx, a)
				if err != nil {
					return err
				}
				for _, root := range roots {
					if _, err := fmt.Fprintln(cmd.OutOrStdout(), root); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&none, "none", false, "allow no folder any more")
	return cmd
}
