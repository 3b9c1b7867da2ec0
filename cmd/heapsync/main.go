// Command heapsync is the server and everything that an operator does with it:
// serve, demo, admin, check, blobs, bench, config, version and healthcheck.
//
// This package wires the others together. It owns flags, configuration files,
// signals and exit codes, and nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/heapsync/heapsync/blocks/media"
)

// version is set by release builds: -ldflags "-X main.version=1.2.3".
var version = ""

func main() {
	media.RunConfined() // this process may be one that looks at a file
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := rootCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		if !errors.Is(err, errSilent) {
			fmt.Fprintln(os.Stderr, "heapsync:", err)
		}
		os.Exit(1)
	}
}

// errSilent is a failure that has been told already.
var errSilent = errors.New("failed")

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "heapsync",
		Short: "A sync server for notes, documents and media that you own",
		Long: `heapsync keeps the documents of your devices in sync, also after they were
offline, on a machine that you own. It speaks the protocols of Yjs clients.

Start with:  heapsync serve     then, in another terminal:  heapsync demo`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(), demoCommand(), adminCommand(), checkCommand(), blobsCommand(), benchCommand(), configCommand(), versionCommand(), healthcheckCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "heapsync", versionText())
			return err
		},
	}
}

// versionText is the release's version, or what the build knows of its commit.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "0.1.0-dev"
	}
	text, dirty := "0.1.0-dev", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			text += "+" + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ".dirty"
		}
	}
	return text + dirty
}
