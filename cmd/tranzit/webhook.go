package main

import (
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/admin"
)

func webhookCommand() *cobra.Command {
	c := &cobra.Command{Use: "webhook", Short: "See the webhook endpoints of all merchants, enable, disable and replay them; receive webhooks"}
	c.AddCommand(webhookListCommand(),
		actCommand(actSpec{use: "enable ENDPOINT", short: "Tell an endpoint of events again", path: "/admin/v1/webhooks/%s/enable"}),
		actCommand(actSpec{use: "disable ENDPOINT", short: "Tell an endpoint of nothing; what it is owed is dropped", path: "/admin/v1/webhooks/%s/disable"}),
		webhookReplayCommand(), webhookReceiveCommand())
	return c
}

func webhookListCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "List the endpoints, whether they work, and the oldest event that each is owed", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []admin.Webhook `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/webhooks", &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "endpoint\tmerchant\tmode\tstate\tsince\toldest owed\turl")
			for _, e := range got.Data {
				mode, since, state := "test", "", e.State
				if e.Live {
					mode = "live"
				}
				if e.FailingSince != nil {
					since = e.FailingSince.Format(time.RFC3339)
				}
				if e.DisabledReason != "" {
					state += " " + e.DisabledReason
				}
				owed := ""
				if e.OldestOwed != nil {
					owed = e.OldestOwed.Format(time.RFC3339)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.Merchant, mode, state, since, owed, e.URL)
			}
			return w.Flush()
		}}
	addAdminFlags(c, &address, &asJSON)
	return c
}

func webhookReplayCommand() *cobra.Command {
	var address, from, to string
	var asJSON bool
	var p admin.Replay
	c := &cobra.Command{Use: "replay ENDPOINT --from TIME", Short: "Send the events of a period to an endpoint again, the oldest first", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) (err error) {
			if p.From, err = time.Parse(time.RFC3339, from); err != nil {
				return usageError{fmt.Errorf("--from %q is not a time like 2026-11-27T00:00:00Z", from)}
			}
			if to != "" {
				if p.To, err = time.Parse(time.RFC3339, to); err != nil {
					return usageError{fmt.Errorf("--to %q is not a time like 2026-11-27T06:00:00Z", to)}
				}
			}
			var done admin.Replayed
			path := "/admin/v1/webhooks/" + url.PathEscape(given[0]) + "/replay"
			for more := true; more; {
				var part admin.Replayed
				if err := callAdmin(address, adminCall{method: http.MethodPost, path: path, body: p}, &part); err != nil {
					return err
				}
				done.Events += part.Events
				if more = part.NextFrom != nil; more {
					p.From = *part.NextFrom
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), done)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d events are on their way\n", done.Events)
			return nil
		}}
	addAdminFlags(c, &address, &asJSON)
	f := c.Flags()
	f.StringVar(&from, "from", "", "not before this time (required)")
	f.StringVar(&to, "to", "", "before this time (default: now)")
	f.StringVar(&p.Reason, "reason", "", "why; written to the log (required)")
	f.StringVar(&p.Operator, "operator", loginName(), "who does it")
	for _, name := range []string{"from", "reason"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return c
}
