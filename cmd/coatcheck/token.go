package main

import (
	"fmt"

	"github.com/coatcheck/coatcheck/internal/auth"
)

type tokenCommand struct {
	Name   string `default:"backend" help:"Name of the token, for logs."`
	Tenant string `required:"" help:"Tenant whose media the token reaches."`
}

func (c *tokenCommand) Run(s streams) error {
	token, line, err := auth.NewToken(c.Name, c.Tenant)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "The token, shown this once; give it to the caller, who sends it as \"Authorization: Bearer TOKEN\":\n")
	fmt.Fprintln(s.err, "  "+token)
	fmt.Fprintf(s.err, "The line that lets it in, for COATCHECK_TOKENS or the tokens file:\n")
	_, err = fmt.Fprintln(s.out, line)
	return err
}
