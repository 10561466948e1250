package objectstore

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// canned is an HTTP client that answers everything with one body.
type canned []byte

// Do implements [s3.HTTPClient].
func (c canned) Do(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, ContentLength: int64(len(c)), Body: io.NopCloser(bytes.NewReader(c)), Request: r,
	}, nil
}

// clientOf is one whose S3 gives one answer.
func clientOf(body []byte) *s3.Client {
	return s3.New(s3.Options{
		Region: "us-east-1", HTTPClient: canned(body), Credentials: aws.AnonymousCredentials{}, Retryer: aws.NopRetryer{},
		BaseEndpoint: aws.String("http://s3.invalid"), UsePathStyle: true,
	})
}

// bySDK is a body decoded by the SDK alone.
func bySDK(body []byte, s *shape) (*page, error) {
	ctx, bucket, client := context.Background(), aws.String("b"), clientOf(body)
	if s == objectList {
		out, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
		if err != nil {
			return nil, err
		}
		return objectsOf(out)
	}
	out, err := client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket})
	if err != nil {
		return nil, err
	}
	return versionsOf(out)
}

// byBoth is a body decoded as in production.
func byBoth(body []byte, s *shape) (*page, error) {
	store := New(clientOf(body), "b", "", time.Now)
	if s == objectList {
		return store.objectPage(context.Background(), &s3.ListObjectsV2Input{Bucket: &store.bucket})
	}
	return store.versionPage(context.Background(), &s3.ListObjectVersionsInput{Bucket: &store.bucket})
}

// here is a body decoded here alone, nil if it is not understood.
func here(body []byte, s *shape) *page {
	a := answerText{body: body}
	return a.page(s)
}

// same reports whether two pages say the same, however they say that there is nothing.
func same(a, b *page) bool {
	normal := func(p *page) page {
		n := *p
		n.objects, n.versions, n.markers = append([]reconcile.Listed{}, p.objects...), append([]version{}, p.versions...), append([]string{}, p.markers...)
		return n
	}
	return reflect.DeepEqual(normal(a), normal(b))
}

// check compares what is understood here with what the SDK makes of it, and reports whether it was understood.
func check(t *testing.T, body []byte, s *shape) bool {
	t.Helper()
	got := here(body, s)
	if got == nil {
		return false
	}
	if want, err := bySDK(body, s); err != nil || !same(got, want) {
		t.Fatalf("%q:\nhere it is    %+v\nby the SDK it is %+v, %v", body, got, want, err)
	}
	return true
}

const namespace = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`

// understood are answers in the forms in which they are given, which must be decoded here.
var understood = map[string]struct {
	shape *shape
	body  string
}{
	"S3": {objectList, `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult` + namespace + `><Name>b</Name><Prefix>media/</Prefix><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>` +
		`<Contents><Key>media/00/a%26+b%2Bc</Key><LastModified>2025-06-01T00:00:00.000Z</LastModified><ETag>&quot;70ee1738b6b21e2c8a43f3a5ab0eee71&quot;</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>434234</Size><StorageClass>STANDARD</StorageClass></Contents>` +
		`<Contents><Key>media/00/b</Key><LastModified>2024-02-29T23:59:59.999Z</LastModified><ETag>"aa-3"</ETag><Size>0</Size><Owner><ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID><DisplayName>F&#252;&#xdf;e &lt;é&gt;</DisplayName></Owner><StorageClass>GLACIER</StorageClass></Contents></ListBucketResult>`},
	"S3, nothing": {objectList, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<ListBucketResult` + namespace + `><Name>b</Name><Prefix></Prefix><StartAfter>z</StartAfter><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>`},
	"MinIO": {objectList, `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult` + namespace + `><Name>b</Name><Prefix>media/</Prefix><ContinuationToken></ContinuationToken><KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><Delimiter></Delimiter><IsTruncated>false</IsTruncated><Contents><Key>media/a%20b</Key><LastModified>2025-06-01T00:00:00.5Z</LastModified><ETag>&#34;70ee1738b6b21e2c8a43f3a5ab0eee71&#34;</ETag><Size>16</Size><Owner><ID>02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4</ID><DisplayName>minio</DisplayName></Owner><StorageClass>STANDARD</StorageClass><UserMetadata><content-type>image/jpeg</content-type><X-Amz-Meta-A>b</X-Amz-Meta-A></UserMetadata><Internal><K>4</K><M>2</M></Internal></Contents><EncodingType>url</EncodingType></ListBucketResult>`},
	"LocalStack": {objectList, `<?xml version='1.0' encoding='utf-8'?>
<ListBucketResult` + namespace + `><IsTruncated>false</IsTruncated><Contents><Key>media/a</Key><LastModified>2025-06-01T00:00:00.000Z</LastModified><ETag>"70ee1738b6b21e2c8a43f3a5ab0eee71"</ETag><Size>16</Size><StorageClass>STANDARD</StorageClass><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm></Contents><Name>b</Name><Prefix>media/</Prefix><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><KeyCount>1</KeyCount></ListBucketResult>`},
	"indented": {objectList, `<?xml version="1.0"?>
<ListBucketResult>
	<Name>b</Name>
	<Prefix />
	<StartAfter/>
	<IsTruncated>false</IsTruncated>
	<Contents>
		<Key>a&amp;b</Key>
		<LastModified>2025-06-01T00:00:00Z</LastModified>
		<ETag/>
		<Owner/>
		<Size>16</Size>
	</Contents>
	<SomethingNew><Deep><Deeper>x</Deeper> </Deep><Empty/></SomethingNew>
</ListBucketResult>
`},
	"S3, versions": {versionList, `<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult` + namespace + `><Name>b</Name><Prefix>media/</Prefix><KeyMarker>media/</KeyMarker><VersionIdMarker></VersionIdMarker><NextKeyMarker>media/b%2B</NextKeyMarker><NextVersionIdMarker>3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY&amp;</NextVersionIdMarker><MaxKeys>3</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>` +
		`<DeleteMarker><Key>media/a</Key><VersionId>m1</VersionId><IsLatest>true</IsLatest><LastModified>2025-06-02T00:00:00.000Z</LastModified><Owner><ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID></Owner></DeleteMarker>` +
		`<Version><Key>media/a</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><LastModified>2025-06-01T00:00:00.000Z</LastModified><ETag>&quot;70ee&quot;</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><Size>16</Size><Owner><ID>75aa</ID></Owner><StorageClass>STANDARD</StorageClass></Version>` +
		`<Version><Key>media/b%2B</Key><VersionId>null</VersionId><IsLatest>true</IsLatest><LastModified>2025-06-01T00:00:00.000Z</LastModified><ETag>&quot;70ee&quot;</ETag><Size>16</Size></Version></ListVersionsResult>`},
	"versions, nothing": {versionList, `<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>`},
}

func TestDecodedHere(t *testing.T) {
	t.Parallel()
	for name, c := range understood {
		if !check(t, []byte(c.body), c.shape) {
			t.Errorf("%s: not understood", name)
		}
	}
	p := here([]byte(understood["S3"].body), objectList)
	want := page{truncated: true, next: "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=", objects: []reconcile.Listed{
		{Key: "media/00/a& b+c", SizeBytes: 434234, ETag: "70ee1738b6b21e2c8a43f3a5ab0eee71", LastModified: time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)},
		{Key: "media/00/b", ETag: "aa-3", LastModified: time.Date(2024, 2, 29, 23, 59, 59, 999e6, time.UTC)},
	}}
	if !same(p, &want) {
		t.Errorf("%+v", p)
	}
	p = here([]byte(understood["S3, versions"].body), versionList)
	if p.next != "media/b+" || p.nextVersion != "3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY&" || len(p.markers) != 1 || len(p.versions) != 2 || p.versions[1].Key != "media/b+" {
		t.Errorf("%+v", p)
	}
}

// TestTruncated: what came in part is an error, whoever decodes it, and never a shorter page.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for name, c := range understood {
		whole := strings.TrimRight(c.body, "\n")
		for n := range len(whole) {
			if p := here([]byte(whole[:n]), c.shape); p != nil {
				t.Fatalf("%s: after %d bytes: %+v", name, n, p)
			}
			if n%7 != 0 && n > 100 {
				continue // the SDK takes long
			}
			if p, err := byBoth([]byte(whole[:n]), c.shape); err == nil {
				t.Fatalf("%s: after %d bytes: %+v", name, n, p)
			}
		}
	}
}

// listingWith is a listing of one object with these elements.
func listingWith(elements string) string {
	return `<ListBucketResult><IsTruncated>false</IsTruncated><Contents>` + elements + `</Contents></ListBucketResult>`
}

const (
	wholeKey      = `<Key>k</Key>`
	wholeModified = `<LastModified>2025-06-01T00:00:00Z</LastModified>`
	wholeETag     = `<ETag>e</ETag>`
	wholeSize     = `<Size>1</Size>`
	wholeEntry    = wholeKey + wholeModified + wholeETag + wholeSize
)

// leftToTheSDK are bodies that are not decoded here.
var leftToTheSDK = []string{
	``, ` `, `x`, `<html><body>Sign in</body></html>`, `<Error><Code>InternalError</Code></Error>`,
	`<ListBucketResult/>`, `<ListBucketResult></ListBucketResult>`, `<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>`,
	`<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>x`, `<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>`,
	`<ListBucketResult xmlns:a="b"><IsTruncated>false</IsTruncated></ListBucketResult>`, "\ufeff" + listingWith(wholeEntry),
	`<?xml version="1.0" encoding="latin1"?>` + listingWith(wholeEntry), `<?xml version="1.1"?>` + listingWith(wholeEntry),
	`<!DOCTYPE a>` + listingWith(wholeEntry), `<!-- c -->` + listingWith(wholeEntry),
	listingWith(""), listingWith(wholeModified + wholeETag + wholeSize), listingWith(wholeKey + wholeETag + wholeSize),
	listingWith(wholeKey + wholeModified + wholeSize), listingWith(wholeKey + wholeModified + wholeETag),
	listingWith(wholeEntry + wholeKey), listingWith(wholeEntry + wholeSize), listingWith(wholeEntry + wholeETag), listingWith(wholeEntry + wholeModified),
	listingWith(wholeEntry + `<key>other</key>`), listingWith(wholeEntry + `<Key>`), listingWith(wholeEntry + `text`),
	listingWith(wholeEntry + `<!-- c -->`), listingWith(wholeEntry + `<a b="c"/>`), listingWith(wholeEntry + `<a:b/>`), listingWith(wholeEntry + `<a></b>`),
	listingWith(wholeEntry + strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20)), listingWith(wholeEntry + `<RestoreStatus/>`),
	listingWith(wholeEntry + `<StorageClass><x/></StorageClass>`), listingWith(wholeEntry + `<Owner><ID><x/></ID></Owner>`), listingWith(wholeEntry + `<Owner>`),
	listingWith(`<Key/>` + wholeModified + wholeETag + wholeSize), listingWith(`<Key>a<![CDATA[b]]></Key>` + wholeModified + wholeETag + wholeSize),
	listingWith(`<Key>a<!-- c -->b</Key>` + wholeModified + wholeETag + wholeSize), listingWith(`<Key>&nbsp;</Key>` + wholeModified + wholeETag + wholeSize),
	listingWith(`<Key>&#0;</Key>` + wholeModified + wholeETag + wholeSize), listingWith(`<Key>&#xd800;</Key>` + wholeModified + wholeETag + wholeSize),
	listingWith(`<Key>a&b</Key>` + wholeModified + wholeETag + wholeSize), listingWith("<Key>a\rb</Key>" + wholeModified + wholeETag + wholeSize),
	listingWith("<Key>a\x00b</Key>" + wholeModified + wholeETag + wholeSize), listingWith("<Key>a\xffb</Key>" + wholeModified + wholeETag + wholeSize),
	listingWith("<Key>a\uffffb</Key>" + wholeModified + wholeETag + wholeSize), listingWith("<Key>a]]>b</Key>" + wholeModified + wholeETag + wholeSize),
	listingWith(wholeKey + wholeModified + wholeETag + `<Size>-1</Size>`), listingWith(wholeKey + wholeModified + wholeETag + `<Size>1e3</Size>`),
	listingWith(wholeKey + wholeModified + wholeETag + `<Size>99999999999999999999</Size>`), listingWith(wholeKey + wholeModified + wholeETag + `<Size/>`),
	listingWith(wholeKey + `<LastModified>2025-02-29T00:00:00Z</LastModified>` + wholeETag + wholeSize),
	listingWith(wholeKey + `<LastModified>2025-13-01T00:00:00Z</LastModified>` + wholeETag + wholeSize),
	listingWith(wholeKey + `<LastModified>2025-06-01T24:00:00Z</LastModified>` + wholeETag + wholeSize),
	listingWith(wholeKey + `<LastModified>2025-06-01T00:00:00+02:00</LastModified>` + wholeETag + wholeSize),
	listingWith(wholeKey + `<LastModified>2025-06-01T00:00:00.Z</LastModified>` + wholeETag + wholeSize),
	listingWith(wholeKey + `<LastModified>Sun, 01 Jun 2025 00:00:00 GMT</LastModified>` + wholeETag + wholeSize),
	`<ListBucketResult><IsTruncated>false</IsTruncated><IsTruncated>true</IsTruncated></ListBucketResult>`,
	`<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType><Contents><Key>%zz</Key>` + wholeModified + wholeETag + wholeSize + `</Contents></ListBucketResult>`,
	`<ListBucketResult><IsTruncated>false</IsTruncated><MaxKeys>many</MaxKeys></ListBucketResult>`,
	`<ListBucketResult><IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes></ListBucketResult>`,
}

func TestLeftToTheSDK(t *testing.T) {
	t.Parallel()
	if !check(t, []byte(listingWith(wholeEntry)), objectList) {
		t.Fatal("what the others are made of is not understood")
	}
	for _, body := range leftToTheSDK {
		if p := here([]byte(body), objectList); p != nil {
			t.Errorf("%q is taken for %+v", body, p)
		}
		want, wantErr := bySDK([]byte(body), objectList)
		got, err := byBoth([]byte(body), objectList)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || err == nil && !same(got, want) {
			t.Errorf("%q: %+v, %v; by the SDK alone %+v, %v", body, got, err, want, wantErr)
		}
	}
}

// TestNoListing: an answer that is none must not be taken for the end of the bucket.
func TestNoListing(t *testing.T) {
	t.Parallel()
	for _, body := range leftToTheSDK[:6] {
		for _, s := range []*shape{objectList, versionList} {
			if p, err := byBoth([]byte(body), s); err == nil {
				t.Errorf("%q is taken for %+v", body, p)
			}
		}
	}
}

// FuzzListing decodes whatever comes, here and by the SDK: what is understood here must be the same there.
func FuzzListing(f *testing.F) {
	for _, c := range understood {
		f.Add([]byte(c.body), c.shape == versionList)
	}
	for _, body := range leftToTheSDK {
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, versions bool) {
		s := objectList
		if versions {
			s = versionList
		}
		if check(t, body, s) && xml.Unmarshal(body, new(struct{})) != nil {
			t.Fatalf("%q is understood, and no XML", body)
		}
	})
}

// TestAnswerTooLarge is about one that does not say its size.
func TestAnswerTooLarge(t *testing.T) {
	t.Parallel()
	var a answerText
	endless := io.LimitReader(zeros{}, maxAnswer+10)
	if err := a.read(endless, -1); !errors.Is(err, errTooLarge) {
		t.Errorf("%v", err)
	}
	if err := a.read(endless, maxAnswer+1); !errors.Is(err, errTooLarge) {
		t.Errorf("%v", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// bigPage is a page of a thousand objects as S3 sends it.
func bigPage() []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<ListBucketResult" + namespace + `><Name>b</Name><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>`)
	for i := range 1000 {
		fmt.Fprintf(&b, `<Contents><Key>media/00/01972943-d32c-7a14-80c6-%012x</Key><LastModified>2025-06-01T00:00:00.000Z</LastModified>`+
			`<ETag>&quot;70ee1738b6b21e2c8a43f3a5ab0eee71&quot;</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>`+
			`<Size>16</Size><StorageClass>STANDARD</StorageClass></Contents>`, i)
	}
	b.WriteString(`</ListBucketResult>`)
	return b.Bytes()
}

// BenchmarkListing decodes a page of a thousand objects. The call around it, without HTTP, is part of the latter two.
func BenchmarkListing(b *testing.B) {
	body := bigPage()
	b.Run("scan", func(b *testing.B) {
		a := answerText{body: body}
		b.ReportAllocs()
		for b.Loop() {
			if a.page(objectList) == nil {
				b.Fatal("not understood")
			}
		}
	})
	for name, decode := range map[string]func([]byte, *shape) (*page, error){"call": byBoth, "SDK": bySDK} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p, err := decode(body, objectList); err != nil || len(p.objects) != 1000 {
					b.Fatal(err)
				}
			}
		})
	}
}
