package consumer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/consumer"
)

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	good := consumer.DefaultConfig()
	good.Bucket = bucket
	if err := good.Validate(); err != nil {
		t.Fatalf("the defaults: %v", err)
	}
	if _, err := consumer.New(good, consumer.Parts{}); err == nil || !strings.Contains(err.Error(), "are needed") {
		t.Errorf("without parts: %v", err)
	}
	for want, change := range map[string]func(*consumer.Config){
		"bucket is empty":                  func(c *consumer.Config) { c.Bucket = "" },
		"pollers is 0":                     func(c *consumer.Config) { c.Pollers = 0 },
		"writers is 257":                   func(c *consumer.Config) { c.Writers = 257 },
		"deleters is -1":                   func(c *consumer.Config) { c.Deleters = -1 },
		"batch size is 501":                func(c *consumer.Config) { c.BatchSize = 501 },
		"visibility timeout is 500ms":      func(c *consumer.Config) { c.VisibilityTimeout = 500 * time.Millisecond },
		"visibility timeout is 13h":        func(c *consumer.Config) { c.VisibilityTimeout = 13 * time.Hour },
		"wait time is 21s":                 func(c *consumer.Config) { c.WaitTime = 21 * time.Second },
		"land timeout is 0s":               func(c *consumer.Config) { c.LandTimeout = 0 },
		"drain limit 10s is not more than": func(c *consumer.Config) { c.DrainLimit = 10 * time.Second },
		"retry from 0s":                    func(c *consumer.Config) { c.Retry.Base = 0 },
		"retry from 1m0s":                  func(c *consumer.Config) { c.Retry.Base = time.Minute },
	} {
		c := good
		change(&c)
		if _, err := consumer.New(c, consumer.Parts{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, without %q", err, want)
		}
	}
}
