package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/admin"
	payswitch "github.com/tranzit/tranzit/switch"
)

// getAdmin reads one JSON answer of a running switch's admin listener.
func getAdmin(address, path string, into any) error {
	client := http.Client{Timeout: 10 * time.Minute}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	response, err := client.Get(strings.TrimSuffix(address, "/") + path)
	if err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		var problem struct {
			Error string `json:"error"`
		}
		_ = json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&problem)
		return errors.New(cmpOr(problem.Error, response.Status))
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	return nil
}

func cmpOr(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

func printJSON(out io.Writer, value any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

func bankLinkCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "bank-link", Short: "See the links of a running switch to its banks"}
	list := &cobra.Command{
		Use:   "list",
		Short: "List banks, their links and the reversals they are owed",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []payswitch.BankStatus `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/banks", &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "bank\tdialect\tlink\tendpoint\tstate\tin flight\treversals owed")
			for _, b := range got.Data {
				for _, l := range b.Links.Links {
					fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%d\t%d\n", b.ID, b.Dialect, l.Number, l.Endpoint, l.State, l.InFlight, b.Reversals)
				}
			}
			return w.Flush()
		},
	}
	addAdminFlags(list, &address, &asJSON)
	c.AddCommand(list)
	return c
}

func safCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "saf", Short: "See the reversals a running switch owes"}
	list := &cobra.Command{
		Use:   "list",
		Short: "List reversals that are owed, and those that need an operator",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []admin.OwedReversal `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/saf?limit=10000", &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "payment\tbank\tamount\tcurrency\trrn\tattempts\tdesk")
			for _, o := range got.Data {
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%d\t%s\n", o.Payment, o.Bank, o.Amount, o.Currency, o.RRN, o.Attempts, o.Desk)
			}
			return w.Flush()
		},
	}
	addAdminFlags(list, &address, &asJSON)
	c.AddCommand(list)
	return c
}

func addAdminFlags(c *cobra.Command, address *string, asJSON *bool) {
	c.Flags().StringVar(address, "admin", "127.0.0.1:9090", "admin address of the running switch")
	c.Flags().BoolVar(asJSON, "json", false, "print JSON")
}
