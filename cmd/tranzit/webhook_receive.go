package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/client"
)

// maxWebhook bounds the bytes of a webhook that receive reads.
const maxWebhook = 1 << 20

// webhookReceiveCommand is a shop's server to try webhooks with.
func webhookReceiveCommand() *cobra.Command {
	var address, given string
	c := &cobra.Command{
		Use:   "receive --secret whsec_...",
		Short: "Be a shop's server, which verifies webhooks and prints them",
		Long: `Receive listens where the address of an endpoint leads, answers 204 to what is
signed with the endpoint's secret and 401 to everything else, and prints a line for
each. It is for tries: a shop's own server does the same. Ctrl-C ends it.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := secret(given)
			if err != nil {
				return err
			}
			l, err := net.Listen("tcp", address)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "Waiting for webhooks at http://%s/\n", l.Addr())
			server := &http.Server{Handler: &webhookReceiver{secret: key, out: out}, ReadTimeout: 15 * time.Second}
			stop := context.AfterFunc(cmd.Context(), func() { _ = server.Close() })
			defer stop()
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
	}
	c.Flags().StringVar(&address, "listen", "127.0.0.1:8090", "where to listen")
	c.Flags().StringVar(&given, "secret", "", "the endpoint's secret, or file:PATH or env:NAME (required)")
	require(c, "secret")
	return c
}

// webhookReceiver verifies webhooks and tells of them.
type webhookReceiver struct {
	secret string
	mu     sync.Mutex // guards out
	out    io.Writer
}

// ServeHTTP implements http.Handler.
func (w *webhookReceiver) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(answer, r.Body, maxWebhook))
	if err != nil {
		answer.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	status, said := http.StatusNoContent, ""
	if e, err := client.ReadWebhook(w.secret, r.Header, body); err != nil {
		status, said = http.StatusUnauthorized, "not signed with this secret"
	} else {
		said = fmt.Sprintf("%s %s%s %s", e.Type, e.PaymentID, e.SessionID, e.ID)
	}
	w.mu.Lock()
	fmt.Fprintf(w.out, "%s %d %s\n", time.Now().UTC().Format(time.RFC3339), status, said)
	w.mu.Unlock()
	answer.WriteHeader(status)
}
