/* The page's start: styles, then the frame. */

import "./styles/base.css";
import "./styles/table.css";
import "./styles/views.css";
import { render } from "preact";
import { App } from "./app";

render(<App />, document.body);
