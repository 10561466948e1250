package media_test

import (
	"regexp"
	"strings"
	"testing"
	"testing/quick"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

func TestNewKeys(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "media/", "a/b/c/", ".well-known/", "a..b/", "A_Z-0.9/", strings.Repeat("x", 511) + "/"} {
		k, err := media.NewKeys(prefix)
		if err != nil {
			t.Errorf("prefix %q: %v", prefix, err)
		}
		if k.Prefix() != prefix {
			t.Errorf("prefix %q became %q", prefix, k.Prefix())
		}
	}
	for _, prefix := range []string{
		"media", "/", "/media/", "a//b/", "./", "../", "a/./b/", "a/../b/", "a/..", "a b/", "a+b/", "a%2Fb/", "é/", "a\x00/",
		"a/\n", "a\\b/", strings.Repeat("x", 512) + "/",
	} {
		if _, err := media.NewKeys(prefix); err == nil {
			t.Errorf("prefix %q is allowed", prefix)
		} else if !strings.Contains(err.Error(), "key prefix") {
			t.Errorf("prefix %q: the error does not say what is wrong: %v", prefix, err)
		}
	}
}

// TestKeysRoundTrip is the property that an object's key and its media's id tell each other, for every id.
func TestKeysRoundTrip(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[A-Za-z0-9/_.-]*[0-9a-f]{2}/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	for _, prefix := range []string{"", "media/", "a/b/"} {
		k, err := media.NewKeys(prefix)
		if err != nil {
			t.Fatal(err)
		}
		err = quick.Check(func(id uuid.UUID) bool {
			key := k.Key(id)
			got, ok := k.ID(key)
			return ok && got == id && form.MatchString(key) && strings.HasPrefix(key, prefix)
		}, &quick.Config{MaxCount: 2000})
		if err != nil {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

func TestKeysShardsEvenly(t *testing.T) {
	t.Parallel()
	k, _ := media.NewKeys("")
	shards := map[string]int{}
	for range 256 * 40 {
		shards[k.Key(uuid.Must(uuid.NewV7()))[:3]]++
	}
	for shard, n := range shards {
		if n > 120 { // 40 are expected; the chance of three times as many is nil
			t.Errorf("shard %s has %d of %d keys", shard, n, 256*40)
		}
	}
	if len(shards) != 256 {
		t.Errorf("%d shards, want 256", len(shards))
	}
}

func TestKeysRefuseWhatTheyDoNotMake(t *testing.T) {
	t.Parallel()
	k, _ := media.NewKeys("media/")
	id := uuid.MustParse("01936b2e-7f00-7abc-8def-0123456789ab")
	good := k.Key(id)
	if good != "media/ab/01936b2e-7f00-7abc-8def-0123456789ab" {
		t.Fatalf("the key is %q", good)
	}
	for _, key := range []string{
		"", "media/", "media", good + "/", good + "x", "/" + good, "Media" + good[5:], good[6:],
		"media/ac/01936b2e-7f00-7abc-8def-0123456789ab", // another shard
		"media/AB/01936b2e-7f00-7abc-8def-0123456789ab", // the same shard in other letters
		"media/ab/01936B2E-7F00-7ABC-8DEF-0123456789AB",
		"media/ab/01936b2e7f007abc8def0123456789ab",
		"media/ab-01936b2e-7f00-7abc-8def-0123456789ab",
		"media/ab/{1936b2e-7f00-7abc-8def-0123456789ab}",
		"media/ab/urn:uuid:01936b2e-7f00-7abc-8def-0123456789ab",
	} {
		if id, ok := k.ID(key); ok {
			t.Errorf("key %q is taken for media %s", key, id)
		}
	}
}

// FuzzKeysID: whatever ID recognises is exactly what Key makes, so that two keys never stand for one media.
func FuzzKeysID(f *testing.F) {
	k, _ := media.NewKeys("media/")
	f.Add(k.Key(uuid.Must(uuid.NewV7())))
	f.Add("media/ab/01936b2e-7f00-7abc-8def-0123456789ab")
	f.Add("media/ab/01936B2E-7F00-7ABC-8DEF-0123456789AB")
	f.Add("media/")
	f.Fuzz(func(t *testing.T, key string) {
		if id, ok := k.ID(key); ok && k.Key(id) != key {
			t.Errorf("%q is taken for the key of %s, which is %q", key, id, k.Key(id))
		}
	})
}
