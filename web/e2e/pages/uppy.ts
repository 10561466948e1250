import type { Client } from "@coatcheck/client";
import { Coatcheck } from "@coatcheck/client/uppy";
import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";

// The types of Uppy's files: no metadata, and what the plugin's response holds.
type Meta = Record<string, never>;
type Body = { mediaId: string };

export function startUppy(client: Client) {
  return new Uppy<Meta, Body>().use(Coatcheck, { client });
}

// As in the client's README.
export function startAwsS3(client: Client) {
  const uppy = new Uppy();
  const mediaIds = new Map<string, string>(); // by Uppy's file id
  uppy.use(AwsS3, {
    shouldUseMultipart: false,
    generateObjectKey: (file) => file.id, // so that signRequest knows which file it is
    signRequest: async ({ key }) => {
      const file = uppy.getFile(key);
      const { media, request } = await client.create(file.data as File, { contentType: file.type, fileName: file.name });
      mediaIds.set(key, media!.id);
      return { url: request!.url, headers: request!.headers, key: media!.key };
    },
  });
  uppy.addPostProcessor(async (ids) => {
    const sent = uppy.getFilesByIds(ids).filter((file) => !file.error);
    await Promise.all(sent.map((file) => client.wait(mediaIds.get(file.id)!)));
  });
  return { uppy, mediaIds };
}
