import * as z from "zod";
import { ROUTES, type RouteSpec } from "./routes.ts";
import { ALLOWED, DEFAULT_LIMIT, MAX_LIMIT, SCHEMAS, type SchemaName } from "./schemas.ts";

type Json = Record<string, unknown>;
const REFUSALS: Readonly<Record<string, string>> = {
  400: "API_INVALID",
  401: "API_UNAUTHORIZED",
  404: "API_NOT_FOUND",
  429: "API_LIMITED",
};

/** The OpenAPI 3.1 document of this API, made from the route table and the zod schemas. */
export function openApiDocument(): Json {
  return {
    openapi: "3.1.0",
    info: {
      title: "Vigil 守望 aggregator",
      version: "1",
      description: "Devices, alarms and tickets, read only. Times are epoch milliseconds. An absent value is left out.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths: Object.fromEntries(
      Object.entries(ROUTES).map(([name, route]) => [route.path, { get: operation(name, route) }]),
    ),
    components: {
      schemas: componentSchemas(),
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "made by `vigil token new NAME`" } },
    },
  };
}

const ref = (name: SchemaName): Json => ({ $ref: `#/components/schemas/${name}` });

function componentSchemas(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $id: _id, $schema: _schema, ...schema }]) => [name, schema]),
  );
}

function operation(operationId: string, route: RouteSpec): Json {
  const refused = Object.entries(REFUSALS)
    .filter(([status]) => !(route.open && (status === "401" || status === "429")))
    .filter(([status]) => status !== "404" || Object.keys(route.params.shape).length > 0);
  return {
    operationId,
    summary: route.says,
    security: route.open ? [] : [{ token: [] }],
    parameters: [...parameters("path", route.params), ...parameters("query", route.query)],
    responses: {
      200: { description: "as asked", content: contentOf(route) },
      ...(operationId === "health" ? { 503: { description: "not well", content: content(route.answer) } } : {}),
      ...Object.fromEntries(
        refused.map(([status, code]) => [
          status,
          { description: code, content: { "application/json": { schema: ref("Error") } } },
        ]),
      ),
    },
  };
}

const contentOf = ({ answer, csv }: RouteSpec): Json => ({
  ...content(answer),
  ...(csv === true && { "text/csv": { schema: { type: "string" } } }),
});

function content(answer: RouteSpec["answer"]): Json {
  if (answer.type === "application/json") return { [answer.type]: { schema: ref(answer.schema) } };
  if (answer.type === "openapi") return { "application/json": { schema: { type: "object" } } };
  return { [answer.type]: { schema: { type: "string" } } };
}

/** Parameters as people write them in a URL; `limit` is documented as the number it means. */
function parameters(where: "path" | "query", schema: z.ZodObject): Json[] {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: "input" });
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: where,
    required: required.includes(name),
    description: ALLOWED[name] ?? name,
    schema: name === "limit" ? limitSchema() : property,
  }));
}

function limitSchema(): Json {
  return { type: "integer", minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT };
}
