package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
)

func healthcheckCommand() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running server how it does; exits 1 if it is not well",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := &http.Client{Timeout: 5 * time.Second}
			res, err := client.Get(url + "/api/health")
			if err != nil {
				return fmt.Errorf("the server does not answer: %w", err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
			if err != nil {
				return fmt.Errorf("the server's answer broke off: %w", err)
			}
			if res.StatusCode != http.StatusOK {
				return fmt.Errorf("the server is not well (status %d): %s", res.StatusCode, body)
			}
			_, err = cmd.OutOrStdout().Write(body)
			return err
		},
	}
	addURLFlag(cmd, &url)
	return cmd
}

// addURLFlag adds --url, which stands at the server of this machine.
func addURLFlag(cmd *cobra.Command, url *string) {
	def := os.Getenv("HEAPSYNC_PUBLIC_URL")
	if def == "" {
		def = "http://localhost:8787"
	}
	cmd.Flags().StringVar(url, "url", def, "where the server is")
}
