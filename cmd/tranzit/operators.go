package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/admin"
)

// operatorCommand is about the operators who sign in to the cabinet.
func operatorCommand() *cobra.Command {
	c := &cobra.Command{Use: "operator", Short: "See, add and remove the operators who sign in to the cabinet"}
	c.AddCommand(operatorListCommand(), operatorActCommand("add EMAIL", "Make somebody an operator; a new user gets a link", ""),
		operatorActCommand("reset EMAIL", "Make a link by which an operator sets password and authenticator anew", "/reset"),
		operatorActCommand("remove EMAIL", "Take the operators' rights from somebody; every session ends", "/remove"))
	return c
}

func operatorListCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "List the operators who sign in to the cabinet", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []admin.UserView `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/operators", &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "email\tname\tstatus\tlast seen")
			for _, u := range got.Data {
				seen := "-"
				if u.SeenAt != nil {
					seen = u.SeenAt.Format(time.RFC3339)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", u.Email, u.Name, u.Status, seen)
			}
			return w.Flush()
		}}
	addAdminFlags(c, &address, &asJSON)
	return c
}

func operatorActCommand(use, short, path string) *cobra.Command {
	var address string
	var asJSON bool
	var act admin.PeopleAct
	c := &cobra.Command{Use: use, Short: short, Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			act.Email = given[0]
			var u admin.UserView
			if err := callAdmin(address, adminCall{method: http.MethodPost, path: "/admin/v1/operators" + path, body: act}, &u); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), u)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", u.Email, u.Status)
			if u.Link != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "link: %s\nIt works once, for three days, and is not shown again.\n", u.Link)
			}
			return nil
		}}
	addAdminFlags(c, &address, &asJSON)
	c.Flags().StringVar(&act.Reason, "reason", "", "why; written with the act (required)")
	c.Flags().StringVar(&act.Operator, "operator", loginName(), "who does it")
	requireFlags(c, "reason")
	return c
}

// refundLimitCommand sets above what a refund in the cabinet takes two persons.
func refundLimitCommand() *cobra.Command {
	var f peopleFlags
	none := false
	c := &cobra.Command{Use: "refund-limit --merchant ID --currency CODE --amount UNITS", Short: "Say how much of one payment one person may refund in the cabinet",
		Long: "Say how much of one payment one person may give back in the cabinet, in minor units:\n129900 is 1299.00. Above it another person has to approve. --none takes the limit away.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if none == cmd.Flags().Changed("amount") {
				return usageError{fmt.Errorf("%s needs --amount or --none", cmd.CommandPath())}
			}
			if none {
				f.act.Amount = -1
			}
			var limits admin.RefundLimits
			if err := callAdmin(f.address, adminCall{method: http.MethodPost, path: f.path("/refund_limits"), body: f.act}, &limits); err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), limits)
			}
			for _, mode := range slices.Sorted(maps.Keys(limits)) {
				for _, code := range slices.Sorted(maps.Keys(limits[mode])) {
					fmt.Fprintf(cmd.OutOrStdout(), "%s %s %d\n", mode, code, limits[mode][code])
				}
			}
			return nil
		}}
	f.add(c, true)
	c.Flags().StringVar(&f.act.Mode, "mode", "both", "test, live or both")
	c.Flags().StringVar(&f.act.Currency, "currency", "", "alphabetic code of ISO 4217 (required)")
	c.Flags().Int64Var(&f.act.Amount, "amount", 0, "minor units; 0: nobody refunds alone")
	c.Flags().BoolVar(&none, "none", false, "take the limit away")
	requireFlags(c, "currency")
	return c
}
