package s3

import "net/http"

type op struct {
	name    string
	handler handler
}

// The operations by method and, for buckets and objects, subresource.
var (
	serviceOps = map[string]op{http.MethodGet: {"ListBuckets", (*Service).listBuckets}}

	bucketOps = map[string]op{
		"PUT ":             {"CreateBucket", (*Service).createBucket},
		"HEAD ":            {"HeadBucket", (*Service).headBucket},
		"DELETE ":          {"DeleteBucket", (*Service).deleteBucket},
		"GET ":             {"ListObjects", (*Service).listObjects},
		"GET list-type":    {"ListObjectsV2", (*Service).listObjects},
		"GET location":     {"GetBucketLocation", (*Service).getLocation},
		"GET versions":     {"ListObjectVersions", (*Service).listVersions},
		"GET uploads":      {"ListMultipartUploads", (*Service).listUploads},
		"POST delete":      {"DeleteObjects", (*Service).deleteObjects},
		"GET versioning":   {"GetBucketVersioning", (*Service).getVersioning},
		"PUT versioning":   {"PutBucketVersioning", (*Service).putVersioning},
		"GET notification": {"GetBucketNotificationConfiguration", (*Service).getNotification},
		"PUT notification": {"PutBucketNotificationConfiguration", (*Service).putNotification},
		"GET acl":          {"GetBucketAcl", (*Service).getACL},
		"PUT acl":          {"PutBucketAcl", (*Service).putACL},
		"GET policyStatus": {"GetBucketPolicyStatus", (*Service).getPolicyStatus},
	}

	objectOps = map[string]op{
		"PUT ":              {"PutObject", (*Service).putObject},
		"PUT  copy":         {"CopyObject", (*Service).copyObject},
		"GET ":              {"GetObject", (*Service).getObject},
		"HEAD ":             {"HeadObject", (*Service).getObject},
		"DELETE ":           {"DeleteObject", (*Service).deleteObject},
		"GET tagging":       {"GetObjectTagging", (*Service).getObjectTagging},
		"PUT tagging":       {"PutObjectTagging", (*Service).putObjectTagging},
		"DELETE tagging":    {"DeleteObjectTagging", (*Service).putObjectTagging},
		"GET acl":           {"GetObjectAcl", (*Service).getACL},
		"POST uploads":      {"CreateMultipartUpload", (*Service).createUpload},
		"PUT uploadId":      {"UploadPart", (*Service).uploadPart},
		"POST uploadId":     {"CompleteMultipartUpload", (*Service).completeUpload},
		"DELETE uploadId":   {"AbortMultipartUpload", (*Service).abortUpload},
		"GET uploadId":      {"ListParts", (*Service).listParts},
		"PUT uploadId copy": {"UploadPartCopy", nil},
	}
)
