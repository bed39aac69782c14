package main

import (
	"fmt"
	"net/http"
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
